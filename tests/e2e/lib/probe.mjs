// Shells in the cluster, for looking at what runs there: beside a session, on its node, or in a pod of no particular kind.
import { eventually } from './eventually.mjs';
import { kubectl, object } from './kubectl.mjs';

const IMAGE = 'localhost/whatsapp-operator/probe:dev';

/** Until a container of an image that is there already runs. */
const START_SECONDS = 60;

/**
 * A shell command beside a session: in its pod's network namespace, among its processes, as its user. The session's image has
 * no shell, so an ephemeral container brings one, once for each life of the session.
 */
export async function beside(namespace, name, command) {
  const container = await ephemeral(namespace, name);
  return kubectl('exec', '--namespace', namespace, name, '--container', container, '--', 'bash', '-c', command);
}

async function ephemeral(namespace, name) {
  const running = ({ state }) => state.running;
  const all = async () => (await object(namespace, 'pod', name))?.status.ephemeralContainerStatuses ?? [];
  const before = await all();
  const there = before.find(running);
  if (there) return there.name;
  const container = `probe-${before.length}`;
  await kubectl('debug', name, '--namespace', namespace, '--quiet', '--profile=restricted', '--image', IMAGE, '--image-pull-policy=IfNotPresent', '--target=session', '--container', container, '--', 'sleep', 'infinity');
  await eventually(`the container ${container} runs`, START_SECONDS, all, (now) => now.some((one) => one.name === container && running(one)));
  return container;
}

/** A pod of its own: `{exec, remove}`. Deleting it is the caller's duty. */
export async function probe(namespace, stem, spec = {}) {
  const name = `${stem}-${Date.now().toString(36)}`;
  const whole = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      terminationGracePeriodSeconds: 0,
      automountServiceAccountToken: false,
      ...spec,
      containers: [{ name: 'probe', image: IMAGE, imagePullPolicy: 'IfNotPresent', command: ['sleep', 'infinity'], ...spec.container }],
      container: undefined,
    },
  };
  await kubectl('apply', '--filename', '-', whole);
  const running = (pod) => pod?.status.phase === 'Running';
  await eventually(`the pod ${name} runs`, START_SECONDS, () => object(namespace, 'pod', name), running);
  return {
    exec: (command, ...more) => kubectl('exec', '--namespace', namespace, name, '--', 'bash', '-c', command, 'bash', ...more),
    remove: () => kubectl('delete', 'pod', name, '--namespace', namespace, '--ignore-not-found', '--wait=false'),
  };
}

/** What every restricted pod says of itself. */
export const RESTRICTED = {
  securityContext: { runAsNonRoot: true, runAsUser: 10001, seccompProfile: { type: 'RuntimeDefault' } },
  container: { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } },
};

/** A shell on a node, with all its rights, that sees the node's processes and speaks from the node's own address. */
export async function onNode(name) {
  const shell = await probe('default', `node-probe-${name}`, {
    nodeName: name,
    hostPID: true,
    hostNetwork: true,
    tolerations: [{ operator: 'Exists' }],
    container: { securityContext: { privileged: true } },
  });
  return { name, ...shell };
}

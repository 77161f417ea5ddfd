// How a real kubelet, scheduler and API server end a session, each in its own words: the condition gives the reason, and
// the session runs again once the cause is gone.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Connection, fresh } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { kubectl, list } from './lib/kubectl.mjs';

const NAMESPACE = 'company-acme';
const FINALIZER = 'e2e.example/hold';
const cleanups = [];

after(() => Promise.all(cleanups.map((cleanup) => cleanup())));

async function apply(name, spec) {
  const connection = await Connection.apply('acme', name, spec);
  cleanups.push(() => connection.delete());
  return connection;
}

const says = (connection, reason, seconds) =>
  eventually(`${connection.name} says ${reason}`, seconds, async () => (await connection.conditions()).PodReady, (ready) => ready?.reason === reason);

/** A session that runs shows a code. */
async function runs(connection, seconds = 90) {
  const shown = (all) => all.Ready?.reason === 'AwaitingQr';
  await eventually(`${connection.name} shows a code`, seconds, () => connection.conditions(), shown);
  return connection.pod();
}

/** The Events with one of these reasons about an object; waits for one. */
function events(uid, reasons) {
  const meant = ({ regarding, reason }) => regarding.uid === uid && reasons.includes(reason);
  const look = async () => (await list(NAMESPACE, 'events.events.k8s.io')).filter(meant);
  return eventually(`an Event ${reasons.join(' or ')}`, 15, look, (all) => all.length > 0);
}

/** A pod that stays while it ends: else a session ends faster than anybody can look. */
const hold = (connection, finalizers) =>
  kubectl('patch', 'pod', connection.name, '--namespace', NAMESPACE, '--type=merge', '--patch', JSON.stringify({ metadata: { finalizers } }));

async function endsAs(reason, connection, end, undo = () => {}) {
  const { metadata: first } = await runs(connection);
  await hold(connection, [FINALIZER]);
  try {
    await end();
    await says(connection, reason, 60);
  } finally {
    await hold(connection, null);
    await undo();
  }
  const { metadata: second } = await runs(connection);
  assert.notEqual(second.uid, first.uid, 'another pod runs');
}

const MEBIBYTES = { Ki: 1 / 1024, Mi: 1, Gi: 1024 };

/** Mebibytes of the only node that nobody has asked for. */
async function freeMemory() {
  const mebibytes = (quantity = '0Mi') => {
    const [, number, unit] = /^(\d+)([KMG]i)$/.exec(quantity) ?? assert.fail(quantity);
    return Number(number) * MEBIBYTES[unit];
  };
  const [{ status: { allocatable } }] = await list(undefined, 'nodes');
  const pods = (await list(undefined, 'pods', '--all-namespaces')).filter(({ status }) => !['Succeeded', 'Failed'].includes(status.phase));
  const asked = pods.flatMap(({ spec }) => spec.containers).map(({ resources }) => mebibytes(resources?.requests?.memory));
  return mebibytes(allocatable.memory) - asked.reduce((sum, one) => sum + one, 0);
}

async function proxySecret(url) {
  const name = fresh('proxy');
  await kubectl('create', 'secret', 'generic', name, '--namespace', NAMESPACE, `--from-literal=url=${url}`);
  cleanups.push(() => kubectl('delete', 'secret', name, '--namespace', NAMESPACE, '--ignore-not-found'));
  return name;
}

describe('a session that is ended', { concurrency: 2 }, () => {
  test('by an eviction, as a drained node asks for, says so and is replaced', async () => {
    const connection = await apply(fresh('drained'));
    await endsAs('Evicted', connection, () =>
      kubectl('create', '--raw', `/api/v1/namespaces/${NAMESPACE}/pods/${connection.name}/eviction`, '--filename', '-', {
        apiVersion: 'policy/v1',
        kind: 'Eviction',
        metadata: { name: connection.name, namespace: NAMESPACE },
      }),
    );
  });

  // The kubelet may forget its reason when the session ends in good order: then the pod has succeeded, and its Event alone
  // says why.
  test('by the kubelet, because it has filled its room for what is temporary, is replaced, and an Event says why', async () => {
    const connection = await apply(fresh('filled'));
    const { metadata: first } = await runs(connection);
    await connection.shell('head --bytes=1100M /dev/zero >/proc/1/root/tmp/filled');
    // It measures volumes once a minute.
    const another = (pod) => pod && pod.metadata.uid !== first.uid;
    await eventually('another pod', 150, () => connection.pod(), another);
    const [evicted] = await events(first.uid, ['Evicted']);
    assert.match(evicted.note, /EmptyDir volume "tmp" exceeds/);
    await events(connection.id, ['Evicted', 'Replacing']);
    await runs(connection);
  });

  test('by a start that cannot succeed is CrashLooping, with how it ended', async () => {
    const connection = await apply(fresh('crashing'), { proxySecretName: await proxySecret('not a proxy') });
    const { message } = await says(connection, 'CrashLooping', 90);
    assert.match(message, /last: Error \(\d+\)/, 'how it ended');
    const { status } = await connection.pod();
    assert.ok(status.containerStatuses[0].restartCount > 0);
  });

  test('by the kernel, because it needs more memory than it may have, is OOMKilled', async () => {
    const connection = await apply(fresh('hungry'), { resources: { requests: { memory: '48Mi' }, limits: { memory: '48Mi' } } });
    await says(connection, 'OOMKilled', 300);
    await Connection.apply('acme', connection.name, {});
    await runs(connection, 120);
  });
});

// By itself: what else begins meanwhile would take the room that it counts on.
test('a session that is ended by the scheduler, because something of higher priority needs its place, says so and is made again', async () => {
  // One fits into what is free, and two do not.
  const memory = `${Math.floor((await freeMemory()) * 0.8)}Mi`;
  const connection = await apply(fresh('preempted'), { resources: { requests: { memory }, limits: { memory } } });
  const above = { name: fresh('above'), namespace: 'default' };
  await kubectl('create', 'priorityclass', above.name, '--value=1000');
  const remove = (kind) => kubectl('delete', kind, above.name, '--namespace', above.namespace, '--ignore-not-found', '--wait=false');
  try {
    await endsAs('Preempted', connection, async () => {
      const { spec: { nodeName } } = await connection.pod();
      await kubectl('create', '--filename', '-', {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: above,
        spec: {
          priorityClassName: above.name,
          nodeSelector: { 'kubernetes.io/hostname': nodeName },
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'above', image: 'is-never-pulled', resources: { requests: { memory } } }],
        },
      });
    }, () => remove('pod'));
  } finally {
    await remove('priorityclass');
  }
});

// One connection, as somebody with kubectl sees it. The id outside Kubernetes is the object's UID.
import { eventually } from './eventually.mjs';
import { attempt, kubectl, list, object } from './kubectl.mjs';
import { beside } from './probe.mjs';

const KIND = 'whatsappconnections.whatsapp-operator.dev';
const LABEL = 'whatsapp-operator.dev/connection';
export const CONDITIONS = ['Accepted', 'PodReady', 'Linked', 'Connected', 'Ready'];

/** A name that no earlier run has used. */
export const fresh = (stem) => `${stem}-${Date.now().toString(36)}`;

export const manifest = (company, name, spec = {}) => ({
  apiVersion: 'whatsapp-operator.dev/v1alpha1',
  kind: 'WhatsAppConnection',
  metadata: { name, namespace: `company-${company}` },
  spec: { companyId: company, ...spec },
});

export class Connection {
  constructor(namespace, name) {
    this.namespace = namespace;
    this.name = name;
  }

  /** Applied, and stored by the API server. */
  static async apply(company, name, spec) {
    const wanted = manifest(company, name, spec);
    await kubectl('apply', '--filename', '-', wanted);
    const connection = new Connection(wanted.metadata.namespace, name);
    connection.id = (await connection.resource()).metadata.uid;
    return connection;
  }

  resource() {
    return object(this.namespace, KIND, this.name);
  }

  pod() {
    return object(this.namespace, 'pod', this.name);
  }

  /** Its conditions as `{Ready: {status, reason, …}, …}`. */
  async conditions() {
    const all = (await this.resource())?.status?.conditions ?? [];
    return Object.fromEntries(all.map(({ type, ...condition }) => [type, condition]));
  }

  /** Waits until every condition is True, and gives the resource. */
  async isReady(seconds = 90) {
    const good = (all) => CONDITIONS.every((type) => all[type]?.status === 'True');
    await eventually(`${this.name} has all conditions`, seconds, () => this.conditions(), good);
    return this.resource();
  }

  /** A shell command beside the session, among its processes. */
  shell(command) {
    return beside(this.namespace, this.name, command);
  }

  async delete() {
    await kubectl('delete', KIND, this.name, '--namespace', this.namespace, '--ignore-not-found', '--wait=false');
  }

  /** What still stands in the cluster for it: objects by label, the resource itself, and its volume. */
  async remains() {
    const labelled = await list(this.namespace, 'pods,secrets,persistentvolumeclaims', '--selector', `${LABEL}=${this.name}`);
    const volumes = await list(undefined, 'persistentvolumes');
    const ours = ({ spec: { claimRef } }) =>
      claimRef?.namespace === this.namespace && claimRef?.name.startsWith(`${this.name}-`);
    const resource = await this.resource();
    return [...(resource ? [resource] : []), ...labelled, ...volumes.filter(ours)].map(
      ({ kind, metadata }) => `${kind}/${metadata.name}`,
    );
  }
}

/** What the API server says of an object that it refuses; undefined when it would take it. Nothing is stored. */
export async function refusalOf(wanted) {
  const { code, stderr } = await attempt(['create', '--dry-run=server', '--filename', '-'], wanted);
  return code === 0 ? undefined : stderr;
}

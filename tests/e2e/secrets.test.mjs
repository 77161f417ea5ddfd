// One account lives a little: shown a code, linked, written to, answering. Then every place that somebody could read who has
// no business with its secrets is searched for the secrets themselves. A find is told by its place, never by its value.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventually } from './lib/eventually.mjs';
import { Connection, fresh } from './lib/connection.mjs';
import { attempt, kubectl, list, object } from './lib/kubectl.mjs';
import { onNode } from './lib/probe.mjs';
import { Phone } from './lib/phone.mjs';
import { containersOf, processes } from './lib/processes.mjs';
import { listen } from './lib/realtime.mjs';
import { World } from './lib/world.mjs';

const KINDS = 'pods,deployments,replicasets,statefulsets,controllerrevisions,configmaps,persistentvolumeclaims,services,networkpolicies,serviceaccounts,events,events.events.k8s.io,leases,whatsappconnections';

let world, connection, paired, phone, node, socket, pods;
/** What must not be found: what it is, and how it reads. */
const secrets = [];
/** Where is looked: the place, and everything that can be read there. */
const places = [];

const number = () => `5511${String(Math.floor(Math.random() * 1e9)).padStart(9, '0')}`;
const words = (stem) => `${stem} ${Math.random().toString(36).slice(2)} at noon`;
const keep = (what, value) => {
  assert.ok(value?.length >= 8, `${what} is too short to be searched for`);
  secrets.push({ what, value });
};

/** Every value of a Secret, as it is and as Kubernetes writes it. */
async function keepSecret(namespace, name) {
  const { data } = await object(namespace, 'secret', name);
  for (const [key, encoded] of Object.entries(data)) {
    if (key === 'username') continue;
    keep(`${name}/${key}`, Buffer.from(encoded, 'base64').toString());
    keep(`${name}/${key} in base64`, encoded);
  }
}

before(async () => {
  world = await World.open();
  const api = world.api('acme');
  const token = world.token('acme');
  keep('a token of a person', token);
  keep('its signature', token.split('.')[2]);
  socket = await listen(world.url, token, 'acme');
  connection = await Connection.apply('acme', fresh('secrets'));
  phone = new Phone(world.control, number());
  const shown = await eventually('a QR code', 90, () => api.get(`/whatsapp/connections/${connection.id}/qr`));
  keep('a QR code that was shown', shown.code);
  await eventually('the phone scans', 60, async () => {
    const { code } = await api.get(`/whatsapp/connections/${connection.id}/qr`);
    keep('the QR code that was scanned', code);
    await phone.scan(code, 'Secret Push Name');
    return true;
  });
  await connection.isReady();
  const [friend, asked, answered] = [number(), words('Is the safe open'), words('It opens')];
  keep('the number of a friend', friend);
  keep('what a friend wrote', asked);
  keep('what was answered', answered);
  await phone.receive(`${friend}@c.us`, asked, { pushName: 'Secret Friend Name' });
  keep('the name of a friend', 'Secret Friend Name');
  const { chatId } = await socket.hears('new-message', ({ message }) => message.text === asked);
  const { id } = await api.post(`/whatsapp/chats/${chatId}/messages`, { text: answered });
  await socket.hears('message-status', (data) => data.messageId === id && data.status === 'sent');
  paired = await Connection.apply('acme', fresh('secrets-pairing'), { link: { method: 'PairingCode', phoneNumber: number() } });
  const pairing = await eventually('a pairing code', 90, async () => {
    const code = await api.get(`/whatsapp/connections/${paired.id}/qr`);
    return code.kind === 'pairingCode' && code.code;
  });
  keep('a pairing code', pairing);
  keep('a pairing code as people read it', `${pairing.slice(0, 4)}-${pairing.slice(4)}`);
  // The life that showed the code, was linked and got the messages: its log goes with its pod.
  places.push({
    where: `log of ${connection.namespace}/${connection.name}, its first life`,
    text: await kubectl('logs', '--namespace', connection.namespace, connection.name, '--container', 'session'),
  });
  // A session that ends and comes back logs the most.
  const pages = await phone.pages();
  await kubectl('delete', 'pod', connection.name, '--namespace', connection.namespace, '--wait=false');
  await phone.isGone(pages);
  await eventually('and back', 90, () => phone.pages(), (pages) => pages.length === 1);
  await connection.isReady();
});

after(async () => {
  socket?.close();
  await Promise.all([connection?.delete(), paired?.delete(), node?.remove()]);
  world?.close();
});

test('the secrets are known', async () => {
  await keepSecret(world.namespace, 'whatsapp-credentials');
  const pod = await connection.pod();
  await keepSecret(connection.namespace, pod.spec.volumes.find(({ name }) => name === 'relay').secret.secretName);
  node = await onNode(pod.spec.nodeName);
  pods = (await list(undefined, 'pods', '--all-namespaces', '--field-selector=status.phase=Running')).filter(
    ({ metadata }) => /^(whatsapp-system|company-)/.test(metadata.namespace) && !metadata.deletionTimestamp,
  );
  const containers = containersOf(pods.filter(({ spec }) => spec.nodeName === node.name));
  const seen = await processes(node, containers.map(({ id }) => id));
  for (const { id, name } of containers) {
    for (const { pid, args, environment } of seen.filter(({ container }) => container === id)) {
      places.push({ where: `arguments of process ${pid} in ${name}`, text: args });
      places.push({ where: `environment of process ${pid} in ${name}`, text: environment });
      if (/\/(operator|api)$/.test(name)) {
        keep(`the ServiceAccount token of ${name}`, await node.exec(`cat /proc/${pid}/root/var/run/secrets/kubernetes.io/serviceaccount/token`));
      }
    }
  }
  assert.ok(secrets.some(({ what }) => what.includes('ServiceAccount token')));
});

test('what is running and stored says what it should say', async () => {
  for (const namespace of [world.namespace, connection.namespace]) {
    for (const one of await list(namespace, KINDS)) places.push({ where: `${one.kind} ${namespace}/${one.metadata.name}`, text: JSON.stringify(one) });
  }
  for (const { metadata, spec, status } of pods) {
    const pod = ['--namespace', metadata.namespace, metadata.name];
    for (const { name } of [...(spec.initContainers ?? []), ...spec.containers]) {
      const where = `log of ${metadata.namespace}/${metadata.name}/${name}`;
      places.push({ where, text: await kubectl('logs', ...pod, '--container', name) });
      const { stdout } = await attempt(['logs', ...pod, '--container', name, '--previous']);
      places.push({ where: `${where}, before it was started again`, text: stdout });
    }
    if (!spec.containers.some(({ ports }) => ports?.some(({ name }) => name === 'admin'))) continue;
    const metrics = await kubectl('get', '--raw', `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}:8080/proxy/metrics`);
    places.push({ where: `metrics of ${metadata.namespace}/${metadata.name}`, text: metrics });
  }
  // Had the places been empty, or the wrong ones, nothing would be found in them either.
  for (const [kind, expected] of [
    ['environment of', connection.id],
    ['arguments of', '--user-data-dir'],
    ['WhatsAppConnection ', connection.id],
    ['Pod ', connection.id],
    ['Event ', connection.name],
    ['log of company-', connection.id],
    [`log of ${connection.namespace}/${connection.name}, its first life`, 'Connected'],
    [`log of ${world.namespace}/whatsapp-operator`, connection.namespace],
    [`log of ${world.namespace}/whatsapp-api`, 'api::'],
    ['metrics of', '# TYPE '],
  ]) {
    assert.ok(places.some(({ where, text }) => where.startsWith(kind) && text.includes(expected)), `nowhere in ${kind}… stands what must`);
  }
});

test('no secret, text, name, number or code stands in arguments, environment, objects, Events, logs or metrics', () => {
  const found = places.flatMap(({ where, text }) =>
    secrets.filter(({ value }) => text.includes(value)).map(({ what }) => `${what}: ${where}`),
  );
  assert.deepEqual(found, []);
});

test("an account's own number stands in its connection's status, and nowhere else", async () => {
  const status = (await connection.resource()).status.account;
  assert.equal(status.id, phone.id, 'there it is for whoever looks after the accounts');
  const elsewhere = places.filter(({ where, text }) => text.includes(phone.number) && !where.startsWith('WhatsAppConnection '));
  assert.deepEqual(elsewhere.map(({ where }) => where), []);
});

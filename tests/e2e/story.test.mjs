// One connection from its first QR code to its removal, on a real cluster: applied with kubectl, heard by unmodified
// socket.io clients over both transports, answered over REST. Each chapter stands on the one before.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before } from 'node:test';
import { Connection, CONDITIONS, fresh } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { kubectl } from './lib/kubectl.mjs';
import { Phone } from './lib/phone.mjs';
import { listen } from './lib/realtime.mjs';
import { story } from './lib/story.mjs';
import { World } from './lib/world.mjs';

const FRIEND = '5511955550001@c.us';
/** The trace of one request, of this run. */
const TRACE = randomBytes(16).toString('hex');
const chapter = story();
const seen = {};
let world, api, phone, connection, sockets;

before(async () => {
  world = await World.open();
  api = world.api('acme');
  phone = new Phone(world.control);
  sockets = await Promise.all(
    ['polling', 'websocket'].map((transport) => listen(world.url, world.token('acme'), 'acme', [transport])),
  );
});

after(async () => {
  for (const socket of sockets ?? []) socket.close();
  // A connection that failed stays for whoever looks into it.
  if (chapter.whole()) await connection?.delete();
  world?.close();
});

const path = (rest = '') => `/whatsapp/connections/${connection.id}${rest}`;
const statusIs = (status) => (data) => data.connectionId === connection.id && data.status === status;
const everySocketHears = (name, good, seconds) =>
  Promise.all(sockets.map((socket) => socket.hears(name, good, seconds)));
const says = (text) => (data) => data.connectionId === connection.id && data.message.text === text;

/** Connected, and no code was shown since the sockets had heard so much. */
async function backWithoutCode(heard) {
  await connection.isReady();
  await eventually('the API says Connected', 15, () => api.get(path()), ({ status }) => status === 'Connected');
  sockets.forEach((socket, i) => {
    const since = socket.heard.slice(heard[i]).filter(({ data }) => data.connectionId === connection.id);
    const codes = since.filter(({ data }) => data.linkCode || data.status === 'AwaitingLink');
    assert.deepEqual(codes, [], 'a code was shown although the phone is linked');
  });
}
const heardSoFar = () => sockets.map((socket) => socket.heard.length);

async function messages(chat) {
  return (await api.get(`/whatsapp/chats/${chat}/messages`)).items;
}
const arrives = (text) =>
  eventually(`REST lists "${text}"`, 30, () => messages(seen.chat), (items) =>
    items.filter((item) => item.text === text).length === 1,
  );

chapter('a connection that is applied with kubectl gets a pod and shows in the API', async () => {
  connection = await Connection.apply('acme', fresh('story'), { displayName: 'Story' });
  await eventually('its pod', 20, () => connection.pod());
  const listed = await eventually('the API lists it', 10, async () => {
    const { items } = await api.get('/whatsapp/connections?limit=200');
    return items.find(({ id }) => id === connection.id);
  });
  assert.equal(listed.name, 'Story');
  assert.equal(listed.resourceName, connection.name);
});

chapter('its QR code is given as JSON, text, SVG and PNG, and comes by socket', async () => {
  const accept = (type) => api.call('GET', path('/qr'), { headers: { accept: type } });
  await eventually('a QR code', 60, () => accept('application/json'), ({ status }) => status === 200);
  const [json, text, svg, png] = await Promise.all(
    ['application/json', 'text/plain', 'image/svg+xml', 'image/png'].map(accept),
  );
  // It changes every 20 s, in the page first.
  const shown = () => Promise.all([accept('application/json'), phone.call('GET', '/pages')]);
  await eventually('the code that the page shows', 10, shown, ([code, pages]) => pages.some(({ qr }) => qr === code.body?.code));
  assert.equal(json.headers.get('cache-control'), 'no-store');
  assert.match(text.body, /[█▀▄]{20}/);
  assert.match(svg.body, /<svg/);
  assert.equal(png.body.subarray(1, 4).toString(), 'PNG');
  const [event] = await everySocketHears('connection-status', (data) => data.connectionId === connection.id && data.linkCode);
  assert.match(event.qr, /^data:image\/svg\+xml;base64,/);
  assert.ok(Date.parse(event.linkCode.expiresAt) > Date.now() - 60_000 && event.linkCode.attempt >= 1);
  const waiting = (all) => all.Ready?.reason === 'AwaitingQr';
  await eventually('condition Ready says AwaitingQr', 10, () => connection.conditions(), waiting);
  seen.code = json.body.code;
});

chapter('scanning it connects: conditions, API and events say so, and none of them ever held the code', async () => {
  await eventually('the phone scans', 30, async () => {
    const { code } = await api.get(path('/qr'));
    await phone.scan(code, 'Acme Sales');
    return true;
  });
  const resource = await connection.isReady();
  for (const { type, observedGeneration } of resource.status.conditions) {
    assert.ok(CONDITIONS.includes(type));
    assert.equal(observedGeneration, resource.metadata.generation);
  }
  assert.equal(resource.status.account.id, phone.id);
  assert.equal(resource.status.phase, 'Connected');
  assert.ok(!JSON.stringify(resource).includes(seen.code), 'the code stands in the resource');
  await everySocketHears('connection-status', statusIs('Connected'));
  const view = await api.get(path());
  assert.deepEqual([view.status, view.account.phone], ['Connected', phone.number]);
  const qr = await api.call('GET', path('/qr'));
  assert.deepEqual([qr.status, qr.body.code], [404, 'no_qr']);
});

chapter('an incoming message is heard over polling and over WebSocket', async () => {
  assert.deepEqual(sockets.map(({ socket }) => socket.io.engine.transport.name), ['polling', 'websocket']);
  await phone.receive(FRIEND, 'Good morning', { pushName: 'Ana' });
  const [event, other] = await everySocketHears('new-message', says('Good morning'));
  assert.deepEqual(event, other);
  assert.equal(event.message.fromMe, false);
  assert.match(event.offset, /^\d+-\d+$/);
  seen.chat = event.chatId;
  seen.first = event.message;
});

chapter('REST lists the chat and the message; a group only when groups are asked for', async () => {
  const group = '120363000000000001@g.us';
  const stranger = '100000000000001@lid';
  await phone.call('POST', `/accounts/${phone.number}/groups`, { id: group, subject: 'Team', participants: [FRIEND] });
  await phone.receive(group, 'Hello all', { author: FRIEND });
  await phone.receive(stranger, 'Who is this?');
  await Promise.all(['Hello all', 'Who is this?'].map((text) => everySocketHears('new-message', says(text))));
  const { items: individual } = await api.get(path('/chats'));
  const { items: all } = await api.get(path('/chats?groups=true'));
  assert.deepEqual(individual.map(({ waId }) => waId).sort(), [FRIEND, stranger].sort());
  assert.deepEqual(all.map(({ waId }) => waId).sort(), [group, FRIEND, stranger].sort());
  const unknown = individual.find(({ waId }) => waId === stranger);
  assert.deepEqual([unknown.phone, unknown.lid], [null, stranger], 'the digits of a @lid are no phone number');
  const chat = individual.find(({ waId }) => waId === FRIEND);
  assert.deepEqual(
    [chat.id, chat.name, chat.phone, chat.isGroup, chat.lastMessage.text],
    [seen.chat, 'Ana', FRIEND.split('@')[0], false, 'Good morning'],
  );
  assert.deepEqual(await messages(seen.chat), [seen.first]);
});

chapter('an answer is sent once under the id that it was promised, also when its request is repeated', async () => {
  const request = { body: { text: 'Good morning, Ana' }, key: fresh('answer') };
  const first = await api.call('POST', `/whatsapp/chats/${seen.chat}/messages`, request);
  assert.equal(first.status, 202);
  seen.answer = first.body;
  const again = await api.call('POST', `/whatsapp/chats/${seen.chat}/messages`, request);
  assert.deepEqual([again.status, again.body], [202, first.body]);
  assert.equal(again.headers.get('idempotency-replayed'), 'true');
  const other = await api.call('POST', `/whatsapp/chats/${seen.chat}/messages`, { ...request, body: { text: 'Else' } });
  assert.deepEqual([other.status, other.body.code], [422, 'idempotency_key_reused']);

  await everySocketHears('message-status', ({ messageId, status }) => messageId === first.body.id && status === 'sent');
  const sent = await phone.sent();
  assert.deepEqual(sent.map(({ id, chat, text }) => [id, chat, text]), [[first.body.waId, FRIEND, 'Good morning, Ana']]);
});

chapter('receipts of the phone become the status of the message', async () => {
  for (const [ack, status] of [[2, 'delivered'], [3, 'read']]) {
    await phone.acknowledge(seen.answer.waId, ack);
    await everySocketHears('message-status', (data) => data.messageId === seen.answer.id && data.status === status);
    const message = (await messages(seen.chat)).find(({ id }) => id === seen.answer.id);
    assert.deepEqual([message.status, message.ack], [status, ack]);
  }
});

chapter('a number that never wrote is written to, and its chat goes on from there', async () => {
  const answer = await api.call('POST', path('/messages'), { body: { to: '+55 (11) 95555-0002', text: 'Hello' } });
  assert.equal(answer.status, 202);
  const sent = await eventually('it is sent', 20, () => phone.sent(), (all) => all.some(({ id }) => id === answer.body.waId));
  assert.equal(sent.at(-1).chat, '5511955550002@c.us');
  assert.equal((await messages(answer.body.chatId)).length, 1);
});

chapter('a killed pod is replaced, is connected without a code, and brings what came meanwhile', async () => {
  const heard = heardSoFar();
  const before = await connection.pod();
  const pages = await phone.pages();
  await kubectl('delete', 'pod', connection.name, '--namespace', connection.namespace, '--force', '--grace-period=0');
  await phone.isGone(pages);
  await phone.receive(FRIEND, 'Are you there?');
  await eventually('another pod', 60, () => connection.pod(), (pod) => pod && pod.metadata.uid !== before.metadata.uid);
  await arrives('Are you there?');
  await everySocketHears('new-message', says('Are you there?'));
  await backWithoutCode(heard);
  assert.equal((await phone.sent()).length, 2, 'nothing was sent a second time');
});

chapter('a killed browser comes back without a code', async () => {
  const heard = heardSoFar();
  const pages = (await phone.pages()).map(({ id }) => id);
  // The browser itself is the one child of the supervisor, which is PID 1; the others are the browser's.
  await connection.shell(
    `for p in /proc/[0-9]*; do read -r _ _ _ parent _ <$p/stat && [ "$parent" = 1 ] && grep -qa remote-debugging $p/cmdline && kill -9 \${p#/proc/}; done; true`,
  );
  await eventually('another page', 60, () => phone.pages(), (now) => now.length === 1 && !pages.includes(now[0].id));
  await phone.receive(FRIEND, 'Still there?');
  await arrives('Still there?');
  await backWithoutCode(heard);
});

chapter('what became of it stands in its log, over REST and in the log of its pod', async () => {
  const log = async () => (await api.get(path('/log?limit=50'))).items;
  const isTold = ([newest, ...older]) => newest?.state === 'Connected' && older.some(({ state, reason }) => state === 'Reconnecting' && reason === 'BrowserLost');
  const items = await eventually('the newest first, and why it was away', 30, log, isTold);
  const states = items.map(({ state }) => state);
  assert.ok(states.includes('AwaitingLink'), 'and how it began');
  const lines = await kubectl('logs', '--namespace', connection.namespace, connection.name, '--container', 'session');
  const lost = lines.split('\n').filter((line) => line.includes('Reconnecting') && line.includes('BrowserLost'));
  assert.ok(lost.length > 0, lines);
});

chapter('suspended, it has no pod, keeps its volume, and refuses to send', async () => {
  const stopped = await api.call('DELETE', path('/connect'));
  assert.deepEqual([stopped.status, stopped.body.status], [202, 'Suspended']);
  await everySocketHears('connection-status', statusIs('Suspended'));
  await eventually('no pod', 60, async () => !(await connection.pod()));
  await eventually('phase Suspended', 15, () => connection.resource(), ({ status }) => status.phase === 'Suspended');
  assert.ok((await connection.remains()).some((name) => name.startsWith('PersistentVolumeClaim/')));
  const refused = await api.call('POST', `/whatsapp/chats/${seen.chat}/messages`, { body: { text: 'Too late' } });
  assert.deepEqual([refused.status, refused.body.code, refused.body.state], [409, 'not_connected', 'Suspended']);
  await phone.receive(FRIEND, 'Closed today?');
});

chapter('resumed, it is connected without a code and brings what came meanwhile', async () => {
  const heard = heardSoFar();
  const started = await api.call('POST', path('/connect'), { headers: { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` } });
  assert.deepEqual([started.status, started.body.qr], [202, null]);
  await backWithoutCode(heard);
  await arrives('Closed today?');
});

chapter('that request is found by its trace in the logs of API, operator and session', async () => {
  const part = (name) => ['--namespace', world.namespace, '--selector', `app.kubernetes.io/component=${name}`];
  for (const [what, pods] of [
    ['API', part('api')],
    ['operator', part('operator')],
    ['session', ['--namespace', connection.namespace, connection.name, '--container', 'session']],
  ]) {
    const lines = await kubectl('logs', ...pods, '--tail=-1');
    assert.ok(lines.includes(TRACE), `the ${what} says nothing of it`);
  }
});

chapter('unlinked on request, it says so, and shows a new code when it is asked to connect', async () => {
  assert.equal((await api.call('POST', path('/logout'))).status, 202);
  await everySocketHears('connection-status', statusIs('LoggedOut'));
  const loggedOut = ({ Linked }) => Linked?.status === 'False' && Linked.reason === 'LoggedOut';
  await eventually('condition Linked is False', 15, () => connection.conditions(), loggedOut);
  await api.post(path('/connect'));
  await eventually('a QR code', 60, () => api.get(path('/qr')));
});

chapter('deleted, it leaves no object, volume, Redis user, key or row', async () => {
  assert.notDeepEqual(await world.redisOf(connection.id), [], 'Redis had something of it');
  assert.equal((await api.call('DELETE', path())).status, 204);
  await everySocketHears('connection-status', statusIs('Deleted'));
  await eventually('nothing of it in the cluster', 90, () => connection.remains(), (left) => left.length === 0);
  await eventually('nothing of it in Redis', 30, () => world.redisOf(connection.id), (left) => left.length === 0);
  await eventually('nothing of it in PostgreSQL', 30, () => world.rowsOf(connection.id), (rows) => rows === 0);
  for (const gone of [path(), path('/chats'), `/whatsapp/chats/${seen.chat}/messages`]) {
    assert.equal((await api.call('GET', gone)).status, 404, gone);
  }
});

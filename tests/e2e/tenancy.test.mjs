// Company B has every id of company A and a good token of its own, and gets nothing: by REST, by socket, by kind of call.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { throughout } from './lib/eventually.mjs';
import { linked } from './lib/linked.mjs';
import { kubectl } from './lib/kubectl.mjs';
import { listen } from './lib/realtime.mjs';
import { World } from './lib/world.mjs';

const FRIEND = '5511955550003@c.us';
let world, own, other, connection, phone, chat, ownSocket, otherSocket;

before(async () => {
  world = await World.open();
  [own, other] = [world.api('acme'), world.api('globex')];
  ownSocket = await listen(world.url, world.token('acme'), 'acme');
  // Of another company, and asking for the room of this one: by both forms that frontends use.
  otherSocket = await listen(world.url, world.token('globex'), 'globex');
  otherSocket.socket.emit('join-company', 'acme');
  otherSocket.socket.emit('join-company', { companyId: 'acme' });
  ({ connection, phone } = await linked(world, 'acme', 'tenancy'));
  await phone.receive(FRIEND, 'For acme only');
  const event = await ownSocket.hears('new-message', ({ message }) => message.text === 'For acme only');
  chat = event.chatId;
});

after(async () => {
  ownSocket?.close();
  otherSocket?.close();
  await connection?.delete();
  world?.close();
});

test('every call with an id of another company answers 404, as for an id that never was', async () => {
  const nobody = '00000000-0000-4000-8000-000000000000';
  const calls = ({ connection, chat }) => [
    ['GET', `/whatsapp/connections/${connection}`],
    ['PATCH', `/whatsapp/connections/${connection}`, { name: 'Taken over' }],
    ['DELETE', `/whatsapp/connections/${connection}`],
    ['POST', `/whatsapp/connections/${connection}/connect`],
    ['DELETE', `/whatsapp/connections/${connection}/connect`],
    ['GET', `/whatsapp/connections/${connection}/qr`],
    ['POST', `/whatsapp/connections/${connection}/logout`],
    ['GET', `/whatsapp/connections/${connection}/chats`],
    ['POST', `/whatsapp/connections/${connection}/messages`, { to: FRIEND, text: 'Not yours' }],
    ['GET', `/whatsapp/chats/${chat}/messages`],
    ['POST', `/whatsapp/chats/${chat}/messages`, { text: 'Not yours' }],
  ];
  const answers = ({ status, body: { instance, ...problem } }) => ({ status, problem });
  const theirs = calls({ connection: connection.id, chat });
  const nobodys = calls({ connection: nobody, chat: nobody });
  for (const [i, [method, path, body]] of theirs.entries()) {
    const answer = answers(await other.call(method, path, { body }));
    assert.equal(answer.status, 404, `${method} ${path}`);
    const [, unknown] = nobodys[i];
    assert.deepEqual(answer, answers(await other.call(method, unknown, { body })), `${method} ${path} tells that the id is somebody's`);
  }
  assert.equal((await own.get(`/whatsapp/connections/${connection.id}`)).status, 'Connected');
  assert.deepEqual(await phone.sent(), []);
});

test('lists of another company are empty of it', async () => {
  const { items } = await other.get('/whatsapp/connections?limit=200');
  assert.deepEqual(items.filter(({ id }) => id === connection.id), []);
});

test('no event reaches a socket of another company, whatever room it asked for, and the attempt is audited', async () => {
  await phone.receive(FRIEND, 'Still for acme only');
  await ownSocket.hears('new-message', ({ message }) => message.text === 'Still for acme only');
  const ours = () => otherSocket.heard.filter(({ data }) => data.connectionId === connection.id);
  await throughout('nothing of acme is heard', 2, ours, (heard) => heard.length === 0);
  const log = await kubectl('logs', '--namespace', world.namespace, '--selector=app.kubernetes.io/component=api', '--tail=2000');
  const audited = (line) => ['audit=true', 'join-company', 'globex', 'another company'].every((word) => line.includes(word));
  assert.ok(log.split('\n').some(audited), 'the log says nothing of the attempt');
});

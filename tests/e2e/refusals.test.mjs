// What is wrong with a request is said: with the right status, as a problem, naming the field, and with no effect.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { refusal } from './lib/realtime.mjs';
import { sign } from './lib/token.mjs';
import { World } from './lib/world.mjs';

const UNKNOWN = '00000000-0000-4000-8000-000000000000';
let world, api, connection;

before(async () => {
  world = await World.open();
  api = world.api('acme');
  connection = await api.post('/whatsapp/connections', { name: 'Refusals' });
});

after(async () => {
  if (connection) await api.delete(`/whatsapp/connections/${connection.id}`);
  world?.close();
});

/** A token of the good shape with one thing wrong. */
function badTokens() {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: 'ana', companyId: 'acme', exp: now + 600 };
  const { exp, ...withoutExpiry } = claims;
  const { companyId, ...withoutCompany } = claims;
  const good = sign(world.secret, claims);
  return {
    'no token': undefined,
    'not a token': 'abc',
    expired: sign(world.secret, { ...claims, exp: now - 600 }),
    'without expiry': sign(world.secret, withoutExpiry),
    'without company': sign(world.secret, withoutCompany),
    'another secret': sign('x'.repeat(64), claims),
    'another algorithm': sign(world.secret, claims, { alg: 'HS512', typ: 'JWT' }),
    'no algorithm': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`,
    'a claim changed': [good.split('.')[0], sign('', { ...claims, companyId: 'globex' }).split('.')[1], good.split('.')[2]].join('.'),
  };
}

function isProblem(answer, status, what) {
  assert.equal(answer.status, status, `${what}: ${JSON.stringify(answer.body)}`);
  assert.match(answer.headers.get('content-type'), /^application\/problem\+json/, what);
  assert.equal(answer.body.status, status, what);
  assert.ok(answer.body.code && answer.body.detail && answer.body.instance, what);
}

test('without a good token every call answers 401', async () => {
  for (const [what, token] of Object.entries(badTokens())) {
    for (const path of ['/whatsapp/connections', `/whatsapp/connections/${connection.id}`, `/whatsapp/chats/${UNKNOWN}/messages`]) {
      const answer = await api.as(token).call('GET', path);
      isProblem(answer, 401, `${what}, ${path}`);
      assert.match(answer.headers.get('www-authenticate'), /^Bearer/);
    }
  }
  assert.equal((await api.as(undefined).call('GET', '/health')).status, 200);
});

test('without a good token a socket gets connect_error', async () => {
  for (const [what, token] of Object.entries(badTokens())) {
    const error = await refusal(world.url, token === undefined ? undefined : { token });
    assert.equal(error?.message, 'unauthorized', what);
  }
});

test('a request that cannot be meant is refused, naming the field', async () => {
  const connections = '/whatsapp/connections';
  const send = `${connections}/${connection.id}/messages`;
  const reply = `/whatsapp/chats/${UNKNOWN}/messages`;
  const table = [
    ['malformed JSON', 'POST', connections, '{"name": ', 400],
    ['two values', 'POST', connections, '{"name": "a"} {}', 400],
    ['no JSON at all', 'POST', connections, '', 400],
    ['a wrong type', 'POST', connections, { name: 7 }, 422, 'name'],
    ['a wrong type inside', 'POST', connections, { name: 'a', link: { phoneNumber: [] } }, 422, 'link.phoneNumber'],
    ['nothing where something is needed', 'POST', connections, {}, 422, 'name'],
    ['a name that is too long', 'POST', connections, { name: 'x'.repeat(129) }, 422, 'name'],
    ['a blank name', 'POST', connections, { name: '  ' }, 422, 'name'],
    ['a method that is none', 'POST', connections, { name: 'a', link: { method: 'Sms' } }, 422, 'link.method'],
    ['a pairing code without a number', 'POST', connections, { name: 'a', link: { method: 'PairingCode' } }, 422, 'link.phoneNumber'],
    ['a chat that cannot be', 'POST', send, { to: 'ana', text: 'a' }, 422, 'to'],
    ['a number that cannot be', 'POST', send, { to: '+0 12', text: 'a' }, 422, 'to'],
    ['no text', 'POST', send, { to: '5511955550001' }, 422, 'text'],
    ['a text that is too long', 'POST', send, { to: '5511955550001', text: 'x'.repeat(65_537) }, 422, 'text'],
    ['a reply that is empty', 'POST', reply, { text: '' }, 422, 'text'],
    ['more than is read', 'POST', reply, { text: 'x'.repeat(2_000_000) }, 413],
    ['an id that is none', 'GET', `${connections}/1`, undefined, 422, 'id'],
    ['a chat id that is none', 'GET', '/whatsapp/chats/5511955550001@c.us/messages', undefined, 422, 'id'],
    ['a page that is too long', 'GET', `${connections}?limit=201`, undefined, 422, 'limit'],
    ['a cursor that is none', 'GET', `${connections}?cursor=x`, undefined, 400],
    ['a switch that is none', 'GET', `${connections}/${connection.id}/chats?groups=maybe`, undefined, 422, 'groups'],
    ['an unknown connection', 'GET', `${connections}/${UNKNOWN}`, undefined, 404],
    ['an unknown chat', 'POST', reply, { text: 'a' }, 404],
    ['an unknown path', 'GET', '/whatsapp/conections', undefined, 404],
    ['a method that the path does not take', 'PUT', connections, { name: 'a' }, 405],
  ];
  const before = (await api.get(`${connections}?limit=200`)).items.length;
  for (const [what, method, path, body, status, field] of table) {
    const answer = await api.call(method, path, { body });
    isProblem(answer, status, what);
    const fields = (answer.body.errors ?? []).map((error) => error.field);
    if (field) assert.ok(fields.includes(field), `${what}: ${field} is not among ${fields}`);
  }
  const other = await api.call('POST', connections, { body: 'name=a', headers: { 'content-type': 'text/plain' } });
  isProblem(other, 415, 'another media type');
  assert.equal((await api.get(`${connections}?limit=200`)).items.length, before, 'something was created');
});

test('everything that is wrong with a request is said at once', async () => {
  const answer = await api.call('POST', `/whatsapp/connections/${connection.id}/messages`, { body: { to: 'ana', text: '' } });
  assert.deepEqual(answer.body.errors.map(({ field }) => field).sort(), ['text', 'to']);
});

test('what needs a connected session answers 409 with the state it is in', async () => {
  const path = `/whatsapp/connections/${connection.id}`;
  for (const [call, body] of [['/messages', { to: '5511955550001', text: 'a' }], ['/logout']]) {
    const answer = await api.call('POST', path + call, { body });
    isProblem(answer, 409, call);
    assert.deepEqual([answer.body.code, answer.body.state], ['not_connected', 'Suspended']);
  }
  const qr = await api.call('GET', `${path}/qr`);
  assert.deepEqual([qr.status, qr.body.code], [404, 'no_qr']);
});

// A phone is linked by a code that its owner types, where nobody can hold it before a screen.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Connection, fresh } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { Phone } from './lib/phone.mjs';
import { World } from './lib/world.mjs';

let world, connection;

before(async () => {
  world = await World.open();
});

after(async () => {
  await connection?.delete();
  world?.close();
});

test('a pairing code is shown as text, and connects when the phone confirms it', async () => {
  const api = world.api('acme');
  const phone = new Phone(world.control);
  const link = { method: 'PairingCode', phoneNumber: phone.number };
  connection = await Connection.apply('acme', fresh('pairing'), { link });
  const path = `/whatsapp/connections/${connection.id}`;
  const shown = await eventually('a pairing code', 60, () => api.get(`${path}/qr`));
  assert.deepEqual([shown.kind, shown.image], ['pairingCode', null]);
  assert.equal((await api.get(`${path}/qr`, { headers: { accept: 'text/plain' } })).trim(), shown.code);
  const waiting = ({ Linked }) => Linked?.reason === 'AwaitingPairingCode';
  await eventually('condition Linked says so', 15, () => connection.conditions(), waiting);

  await eventually('the phone confirms it', 30, async () => {
    const { code } = await api.get(`${path}/qr`);
    await phone.call('POST', '/pair', { phone: phone.number, code });
    return true;
  });
  const resource = await connection.isReady();
  assert.equal(resource.status.account.id, phone.id);
});

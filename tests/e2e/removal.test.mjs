// A connection that is deleted while no operator runs leaves nothing either: its objects go by owner reference, and what
// it has in Redis goes when the operator is back and compares.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Connection, fresh } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { kubectl, list, object } from './lib/kubectl.mjs';
import { World } from './lib/world.mjs';

/** The operator's sweep comes every minute. */
const SWEEP_SECONDS = 100;

let world, connection, replicas;

const scale = (replicas) =>
  kubectl('scale', `deployment/${world.operatorName}`, '--namespace', world.namespace, `--replicas=${replicas}`);
const operators = () => list(world.namespace, 'pods', '--selector=app.kubernetes.io/component=operator');

before(async () => {
  world = await World.open();
  ({ replicas } = (await object(world.namespace, 'deployment', world.operatorName)).spec);
});

after(async () => {
  await connection?.delete();
  if (replicas) await scale(replicas);
  world?.close();
});

test('deleted while the operator is down, it leaves no object, volume, Redis user or key', async () => {
  connection = await Connection.apply('acme', fresh('removal'));
  await eventually('a QR code', 60, () => world.api('acme').get(`/whatsapp/connections/${connection.id}/qr`));
  assert.ok((await world.redisOf(connection.id)).length > 1, 'Redis has its user and keys');

  await scale(0);
  await eventually('no operator', 60, operators, (pods) => pods.length === 0);
  await connection.delete();
  await eventually('nothing of it in the cluster', 90, () => connection.remains(), (left) => left.length === 0);
  assert.notDeepEqual(await world.redisOf(connection.id), [], 'nobody was there to clear Redis');

  await scale(replicas);
  await eventually('nothing of it in Redis', SWEEP_SECONDS, () => world.redisOf(connection.id), (left) => left.length === 0);
});

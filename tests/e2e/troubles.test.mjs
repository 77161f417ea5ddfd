// What keeps a session from running, in the words of the real scheduler, provisioner and garbage collector: the condition names
// it, and once it is put right the session starts by itself.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Connection, fresh } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { kubectl, list, object } from './lib/kubectl.mjs';

const CLASS = fresh('missing');
const made = [];

after(async () => {
  await Promise.all(made.map((connection) => connection.delete()));
  await kubectl('delete', 'storageclass', CLASS, '--ignore-not-found');
});

const apply = async (name, spec) => {
  const connection = await Connection.apply('acme', name, spec);
  made.push(connection);
  return connection;
};

async function says(connection, type, reason, seconds = 30) {
  const found = (all) => all[type]?.status === 'False' && all[type].reason === reason;
  const all = await eventually(`${type} says ${reason}`, seconds, () => connection.conditions(), found);
  return all[type];
}

/** A session that runs shows a code. */
const runs = (connection) => says(connection, 'Ready', 'AwaitingQr', 90);

test('a pod that asks for more than any node has is Unschedulable, until it asks for less', async () => {
  const connection = await apply(fresh('large'), { resources: { requests: { cpu: '1000' } } });
  const { message } = await says(connection, 'PodReady', 'Unschedulable');
  assert.match(message, /cpu/, 'the scheduler says what is missing');
  await apply(connection.name, { resources: { requests: { cpu: '50m' } } });
  await runs(connection);
});

test('a volume whose class is not there is waited for, until somebody makes the class', async () => {
  const connection = await apply(fresh('classless'), { storage: { storageClassName: CLASS } });
  const { message } = await says(connection, 'PodReady', 'StorageClassMissing');
  assert.ok(message.includes(CLASS), message);
  const [standard] = await list(undefined, 'storageclasses');
  const { apiVersion, kind, provisioner, volumeBindingMode } = standard;
  await kubectl('apply', '--filename', '-', { apiVersion, kind, metadata: { name: CLASS }, provisioner, volumeBindingMode });
  await runs(connection);
});

test('a ServiceAccount that somebody deleted is put back by Kubernetes, and sessions start as before', async () => {
  const account = () => object('company-acme', 'serviceaccount', 'default');
  const { metadata } = await account();
  await kubectl('delete', 'serviceaccount', 'default', '--namespace', 'company-acme');
  await eventually('another ServiceAccount', 30, account, (another) => another && another.metadata.uid !== metadata.uid);
  await runs(await apply(fresh('afterwards')));
});

test('deleted and made again under its name at once, it is another connection, which starts once the first is gone', async () => {
  const first = await apply(fresh('again'));
  await runs(first);
  await first.delete();
  const second = await apply(first.name);
  assert.notEqual(second.id, first.id);
  await runs(second);
  const { metadata } = await second.pod();
  assert.deepEqual(metadata.ownerReferences.map(({ uid }) => uid), [second.id]);
});

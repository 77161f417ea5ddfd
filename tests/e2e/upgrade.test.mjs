// Operator and API are upgraded, from the chart of an earlier commit to the present one, with other settings for sessions; and
// no session notices: its pod is the same, never restarted, and messages go on arriving. Nor does a client of the API notice
// that its replicas are replaced.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Connection, fresh } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { kubectl, list, object } from './lib/kubectl.mjs';
import { linked } from './lib/linked.mjs';
import { World } from './lib/world.mjs';

const LONGEST_MS = 120_000;
/** Between two requests of one client: with it they stay well below a company's limit of 100 a second. */
const PACE_MS = 25;
const ROLLED_OUT = '180s';
const charts = fileURLToPath(new URL('../../charts', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'upgrade-'));
const run = (command, ...args) => execFileSync(command, args, { encoding: 'utf8', timeout: LONGEST_MS, stdio: ['ignore', 'pipe', 'pipe'] });

let world, connection, phone, second, values;

before(async () => {
  world = await World.open();
  values = JSON.parse(run('helm', 'get', 'values', 'whatsapp', '--namespace', world.namespace, '--output', 'json'));
  ({ connection, phone } = await linked(world, 'acme', 'upgrade'));
});

after(async () => {
  if (values) await release(values);
  await Promise.all([connection?.delete(), second?.delete()]);
  rmSync(directory, { recursive: true });
  world?.close();
});

const upgrade = (from, ...settings) =>
  run('helm', 'upgrade', 'whatsapp', join(from, 'whatsapp-operator'), '--namespace', world.namespace, '--reset-values', ...settings);

/** Installs today's chart over what is there, and waits until everything of it runs. */
async function release(settings) {
  const file = join(directory, 'values.json');
  writeFileSync(file, JSON.stringify(settings));
  upgrade(charts, '--values', file);
  await replaceStuck();
  const workloads = await kubectl('get', 'deployments,statefulsets', '--namespace', world.namespace, '--output=name');
  for (const workload of workloads.trim().split('\n')) {
    await kubectl('rollout', 'status', '--namespace', world.namespace, workload, `--timeout=${ROLLED_OUT}`);
  }
}

/**
 * A StatefulSet does not replace a pod of an earlier revision that is not ready. The earlier chart may have made one, since it
 * was run with today's images.
 */
async function replaceStuck() {
  const observed = ({ metadata, status }) => status.observedGeneration === metadata.generation;
  const sets = () => list(world.namespace, 'statefulsets');
  for (const { metadata, status } of await eventually('the StatefulSets are seen', 30, sets, (all) => all.every(observed))) {
    const pod = await object(world.namespace, 'pod', `${metadata.name}-0`);
    if (!pod || pod.metadata.labels['controller-revision-hash'] === status.updateRevision) continue;
    await kubectl('delete', 'pod', pod.metadata.name, '--namespace', world.namespace, '--wait=false');
  }
}

/** Asks the API again and again. Told to stop, it gives how often it asked and what was answered badly or not at all. */
function askAllAlong() {
  const [api, bad] = [world.api('acme'), []];
  let [going, asked] = [true, 0];
  const done = (async () => {
    while (going) {
      asked += 1;
      await api.call('GET', `/whatsapp/connections/${connection.id}`).then(
        ({ status }) => status === 200 || bad.push(status),
        (error) => bad.push(`${error.message}: ${error.cause?.message}`),
      );
      await new Promise((resume) => setTimeout(resume, PACE_MS));
    }
  })();
  return async () => {
    going = false;
    await done;
    return { asked, bad };
  };
}

/** What would change if the session had been disturbed. */
async function life() {
  const { metadata, status } = await connection.pod();
  const [{ restartCount, state }] = status.containerStatuses;
  return { uid: metadata.uid, restartCount, startedAt: state.running?.startedAt };
}

async function goesOn(text) {
  const api = world.api('acme');
  await phone.receive('5511955550009@c.us', text);
  await eventually(`"${text}" arrives`, 60, async () => {
    const { items } = await api.get(`/whatsapp/connections/${connection.id}/chats`);
    return items.some(({ lastMessage }) => lastMessage?.text === text);
  });
}

/** An operator that makes a pod has looked at every connection there is. */
async function operatorActs() {
  second = await Connection.apply('acme', fresh('after'));
  await eventually('the operator makes a pod', 60, () => second.pod());
}

/** Whether there was another chart before, as far as this clone knows. */
function hasHistory() {
  try {
    return run('git', '-C', charts, 'log', '--format=%H', '--max-count=2', '--', 'whatsapp-operator').trim().includes('\n');
  } catch {
    return false;
  }
}

/** The chart of an earlier commit with the values of its time, over what is there. The images are today's. */
function goBack(t) {
  if (!hasHistory()) return t.diagnostic('from the same chart: this clone has no history');
  t.diagnostic(`from ${run(join(charts, 'previous'), directory)}`);
  const browser = `session.browserArgs=${JSON.stringify(values.session.browserArgs)}`;
  return upgrade(join(directory, 'charts'), '--values', join(directory, 'tests/e2e/values.yaml'), '--set-json', browser);
}

test('an upgrade of the chart and other settings for sessions restart none that runs', { timeout: 6 * LONGEST_MS }, async (t) => {
  const earlier = await life();
  goBack(t);
  const browserArgs = [...values.session.browserArgs, '--js-flags=--max-old-space-size=512'];
  const session = { ...values.session, browserArgs, resources: { limits: { memory: '1Gi' } } };
  await release({ ...values, session, logFormat: 'json' });
  await operatorActs();
  const [{ env }] = (await second.pod()).spec.containers;
  assert.ok(env.find(({ name }) => name === 'BROWSER_ARGS').value.includes('max-old-space-size'), 'a new pod has the new settings');
  assert.deepEqual(await life(), earlier);
  await goesOn('After the upgrade');
});

test('no request fails while both replicas of the API are replaced', { timeout: 3 * LONGEST_MS }, async (t) => {
  const api = `deployment/${world.apiName}`;
  const stop = askAllAlong();
  try {
    await kubectl('rollout', 'restart', '--namespace', world.namespace, api);
    await kubectl('rollout', 'status', '--namespace', world.namespace, api, '--timeout=80s');
    // The last one that was replaced still ends.
    const old = ({ metadata }) => metadata.deletionTimestamp;
    const pods = () => list(world.namespace, 'pods', '--selector=app.kubernetes.io/component=api');
    await eventually('the old ones are gone', 60, pods, (all) => !all.some(old));
  } finally {
    const { asked, bad } = await stop();
    t.diagnostic(`${asked} requests`);
    assert.ok(asked > 20 && bad.length === 0, `${bad.length} of ${asked} failed: ${bad.slice(0, 5).join('; ')}`);
  }
});

// What a person waits for: a QR code after a connection is asked for over REST, and the account's return after its pod was
// killed. Times are this client's own; what it waits for it asks for every 50 ms, which is in every figure.
import { Connection, fresh } from '../../e2e/lib/connection.mjs';
import { eventually } from '../../e2e/lib/eventually.mjs';
import { kubectl, list } from '../../e2e/lib/kubectl.mjs';
import { scan } from '../../e2e/lib/linked.mjs';
import { Phone } from '../../e2e/lib/phone.mjs';
import { World } from '../../e2e/lib/world.mjs';
import { machine, percentile, table } from '../table.mjs';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const PACE_MS = 50;
const DEADLINE_MS = 120_000;

const conditions = machine();
const say = (text) => console.error(`          ${text}`);
const world = await World.open();
const api = world.api('acme');

/** Milliseconds until `look` gives something true. */
async function until(what, look) {
  const began = performance.now();
  for (;;) {
    if (await look()) return performance.now() - began;
    if (performance.now() - began > DEADLINE_MS) throw new Error(`${what}: not within ${DEADLINE_MS / 1000} s`);
    await new Promise((resume) => setTimeout(resume, PACE_MS));
  }
}

/** The connection as kubectl knows it, made over REST. */
async function create(stem) {
  const name = fresh(stem);
  const { id } = await api.post('/whatsapp/connections', { name });
  const found = await eventually('its resource', 15, async () =>
    (await list('company-acme', 'whatsappconnections')).find(({ metadata }) => metadata.uid === id),
  );
  return Object.assign(new Connection('company-acme', found.metadata.name), { id });
}

const view = async (connection) => (await api.get(`/whatsapp/connections/${connection.id}`)).status;
const gone = (connection) => eventually('nothing is left of it', 90, () => connection.remains(), (left) => left.length === 0);

const toCode = [];
const toScanned = [];
const toBack = { deleted: [], forced: [] };
const KILLS = { deleted: ['--wait=false'], forced: ['--force', '--grace-period=0'] };

for (let round = 1; round <= ROUNDS; round++) {
  // A connection for each: of one that has changed ten times within minutes the operator tells once a minute.
  for (const [how, flags] of Object.entries(KILLS)) {
    say(`round ${round} of ${ROUNDS}: a connection over REST, its code, a scan; its pod is ${how}`);
    const began = performance.now();
    const connection = await create('bench');
    await api.post(`/whatsapp/connections/${connection.id}/connect`);
    const path = `/whatsapp/connections/${connection.id}/qr`;
    await until('a QR code', async () => (await api.call('GET', path)).status === 200);
    toCode.push(performance.now() - began);
    await scan(api, connection, new Phone(world.control), 'Bench');
    toScanned.push(await until('Connected', async () => (await view(connection)) === 'Connected'));
    await connection.isReady();
    const { metadata } = await connection.pod();
    const [killed, second] = [performance.now(), Math.floor(Date.now() / 1000) * 1000];
    // Until the operator has noticed, the condition is the one of the pod that was killed.
    const anew = ({ Connected }) => Connected?.status === 'True' && Date.parse(Connected.lastTransitionTime) >= second;
    await kubectl('delete', 'pod', connection.name, '--namespace', connection.namespace, ...flags);
    await until('another pod', async () => ((await connection.pod())?.metadata.uid ?? metadata.uid) !== metadata.uid);
    await until('Connected again', async () => anew(await connection.conditions()));
    toBack[how].push(performance.now() - killed);
    await connection.delete();
    await gone(connection);
  }
}
world.close();

const row = (what, values) => [what, ...[50, 100].map((p) => (percentile(values, p) / 1000).toFixed(1)), 's'];
console.log(`${ROUNDS} rounds, one connection at a time. ${conditions}.\n`);
console.log(
  table(
    ['measure', 'p50', 'most', 'unit'],
    [
      row('POST connections and connect → QR code over REST', toCode),
      row('scanned → status Connected over REST', toScanned),
      row('kubectl delete pod → condition Connected, another pod', toBack.deleted),
      row('kubectl delete pod --force → condition Connected, another pod', toBack.forced),
    ],
  ),
);

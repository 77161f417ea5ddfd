// What is measured, and the table of it. `run` has started the operator and everything that it needs, and ends it.
// A connection's latency: from its creation's arrival at the API server to that of its Pod's, both by the audit log.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { Kubernetes } from './api.mjs';
import { AuditLog } from './audit.mjs';

const OPERATOR = 'system:serviceaccount:whatsapp-system:whatsapp-operator';
const SINGLES = 30;
const BURST = 200;
const PARALLEL = 16;

/** Between two single connections the operator has asked for nothing this long: it is done with the first. */
const SETTLED_MS = 250;
/** At the end of a part, longer than the second to which the operator paces a connection's status writes. */
const QUIET_MS = 2500;
const DEADLINE_S = 60;

/** A watch's own requests: they are a cost of the namespace, not of a connection. */
const STANDING = new Set(['list', 'watch']);

const audit = new AuditLog(process.env.CLUSTER_AUDIT_LOG);
const kubernetes = new Kubernetes(PARALLEL);

const ours = ({ user, verb }) => user === OPERATOR && !STANDING.has(verb);
const made = (what, from) =>
  audit.requests.slice(from).filter((r) => r.verb === 'create' && r.what === what && r.code === 201);

/** Waits until the operator has asked for nothing for so long. */
async function quiet(milliseconds) {
  const last = () => audit.requests.findLast(ours)?.at ?? 0;
  await audit.until('the operator is quiet', DEADLINE_S, () => Date.now() - last() / 1000 > milliseconds);
}

/** Runs one part and gives what the audit log has of it: latencies in ms, and the operator's requests. */
async function part(count, creations) {
  audit.read();
  const from = audit.requests.length;
  await creations(async (company, name) => {
    const start = audit.requests.length;
    await kubernetes.create(company, name);
    return () => made('pods', start).some((r) => r.object === `company-${company}/${name}`);
  });
  await audit.until(`${count} Pods`, DEADLINE_S, () => made('pods', from).length >= count);
  await quiet(QUIET_MS);
  const connections = made('whatsappconnections', from);
  const pods = new Map(made('pods', from).map((r) => [r.object, r.at]));
  const latencies = connections.map(({ object, at }) => (pods.get(object) - at) / 1000).sort((a, b) => a - b);
  if (latencies.length !== count || pods.size !== count || latencies.some((l) => !(l >= 0))) {
    throw new Error(`${connections.length} connections and ${pods.size} Pods, ${count} of each were expected`);
  }
  const begin = connections[0].at;
  const seconds = (requests) => (Math.max(...requests.map((r) => r.at)) - begin) / 1e6;
  return {
    latencies,
    createdIn: seconds(connections),
    rate: count / seconds(made('pods', from)),
    requests: audit.requests.slice(from).filter((r) => r.at >= begin && ours(r)),
  };
}

/** Nearest rank: of 30 values the 99th percentile is the greatest. */
const percentile = (sorted, p) => sorted[Math.ceil((p / 100) * sorted.length) - 1].toFixed(1);
const mebibytes = (field) => {
  const status = readFileSync(`/proc/${process.env.OPERATOR_PID}/status`, 'utf8');
  return (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)[1]) / 1024).toFixed(1);
};
const each = (requests, count) => (requests.length / count).toFixed(2);

const names = (prefix, count) => Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(3, '0')}`);

// What else runs on the machine is in every figure below.
const load = loadavg()[0].toFixed(1);
const idle = mebibytes('VmRSS');
// The first connection of a namespace waits for the namespace to be ready; that is not what is measured.
await part(2, async (create) => {
  await create('one', 'first');
  await create('burst', 'first');
});
const single = await part(SINGLES, async (create) => {
  for (const name of names('one', SINGLES)) {
    const there = await create('one', name);
    await audit.until(`the Pod of ${name}`, DEADLINE_S, there);
    await quiet(SETTLED_MS);
  }
});
const burst = await part(BURST, (create) => Promise.all(names('burst', BURST).map((name) => create('burst', name))));

const profile = process.env.OPERATOR_PROFILE;
const rows = [
  [`CR to Pod, one at a time (${SINGLES}): p50`, percentile(single.latencies, 50), 'ms'],
  [`CR to Pod, one at a time (${SINGLES}): p99 (the slowest)`, percentile(single.latencies, 99), 'ms'],
  [`burst of ${BURST}: Pods created`, burst.rate.toFixed(1), '1/s'],
  [`burst of ${BURST}: CRs created by the benchmark within`, burst.createdIn.toFixed(2), 's'],
  [`burst of ${BURST}: CR to Pod, p50`, percentile(burst.latencies, 50), 'ms'],
  [`burst of ${BURST}: CR to Pod, p99`, percentile(burst.latencies, 99), 'ms'],
  ['operator RSS before the first connection', idle, 'MiB'],
  [`operator RSS with ${SINGLES + BURST + 2} connections`, mebibytes('VmRSS'), 'MiB'],
  ['operator RSS at most', mebibytes('VmHWM'), 'MiB'],
  ['API requests per connection, one at a time', each(single.requests, SINGLES), ''],
  ['API requests per connection, burst', each(burst.requests, BURST), ''],
];
const kinds = ({ verb, what, code, agent }) => `${verb} ${what} ${code} | ${agent}`;
const seen = [...new Set([...single.requests, ...burst.requests].map(kinds))].sort();
const of = (requests, kind, count) => each(requests.filter((r) => kinds(r) === kind), count);

const machine = `${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${load} at the start`;
console.log(`Operator: cargo profile ${profile}. Kubernetes ${await kubernetes.version()}. ${machine}.\n`);
console.log('| measure | value | unit |\n|---|---:|---|');
for (const row of rows) console.log(`| ${row.join(' | ')} |`);
console.log('\n| request of the operator | user agent | one at a time | burst |\n|---|---|---:|---:|');
for (const kind of seen) console.log(`| ${kind} | ${of(single.requests, kind, SINGLES)} | ${of(burst.requests, kind, BURST)} |`);

kubernetes.close();
audit.close();

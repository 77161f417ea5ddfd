// What is measured of the operator, and the table of it. `run` has started it and everything that it needs, and ends it.
// A connection's latency: from its creation's arrival at the API server to that of its Pod's, both by the audit log.
import { readFileSync } from 'node:fs';
import { machine, percentile, processorTimes, table } from '../table.mjs';
import { Kubernetes } from './api.mjs';
import { AuditLog } from './audit.mjs';
import { subject } from './subjects.mjs';

const SINGLES = 30;
const BURST = Number(process.env.BENCH_BURST ?? 1000);
/** Connections at the end, those that were measured included; the further ones are suspended and have no pod. */
const MANY = Number(process.env.BENCH_CONNECTIONS ?? 10_000);
/** How long nothing is asked of the operator while its requests are counted. */
const STEADY_S = Number(process.env.BENCH_STEADY_SECONDS ?? 60);
const PARALLEL = 16;

/** Between two single connections the operator has asked for nothing this long: it is done with the first. */
const SETTLED_MS = 250;
/** At the end of a part, longer than the second to which the operator paces a connection's status writes. */
const QUIET_MS = 2500;
/** Longest wait for that: what is no news of a connection is told once a minute at most, and volumes come minutes after their Pods. */
const SETTLING_MS = 240_000;

/** Longest wait for a part: the burst with a wide margin. */
const DEADLINE_S = 300;

/** A watch's own requests, and the lease: they are a cost of the namespace and of the operator, not of a connection. */
const standing = ({ verb, what }) => verb === 'list' || verb === 'watch' || what === 'leases';

const audit = new AuditLog(process.env.CLUSTER_AUDIT_LOG);
const kubernetes = new Kubernetes(PARALLEL);

const make = (company, name, spec) => kubernetes.create(subject.path(company), subject.object(company, name, spec));
const ours = (request) => request.user === subject.user && !standing(request);
/** Each Secret is looked at once an hour, so that with many connections there is always one. */
const hourly = ({ verb, what }) => verb === 'get' && what === 'secrets';
const made = (what, from) =>
  audit.requests.slice(from).filter((r) => r.verb === 'create' && r.what === what && r.code === 201);
const say = (text) => console.error(`          ${text}`);

/** Waits until the operator has asked for nothing for so long; or for the longest that a part may go on being told of. */
async function quiet(milliseconds) {
  const [last, end] = [() => audit.requests.findLast((r) => ours(r) && !hourly(r))?.at ?? 0, Date.now() + SETTLING_MS];
  const over = () => Date.now() - last() / 1000 > milliseconds || Date.now() > end;
  await audit.until('the operator is quiet', DEADLINE_S, over);
  if (Date.now() > end) say(`it is not quiet after ${SETTLING_MS / 1000} s; what it asks for later is not counted`);
}

/** Runs one part and gives what the audit log has of it: latencies in ms, and the operator's requests. */
async function part(count, creations) {
  audit.read();
  const from = audit.requests.length;
  await creations(async (company, name) => {
    const start = audit.requests.length;
    await make(company, name);
    return () => made('pods', start).some((r) => r.object === `company-${company}/${name}`);
  });
  await audit.until(`${count} Pods`, DEADLINE_S, () => made('pods', from).length >= count);
  const times = processorTimes();
  await quiet(QUIET_MS);
  const connections = made(subject.resource, from);
  const pods = new Map(made('pods', from).map((r) => [r.object, r.at]));
  const latencies = connections.map(({ object, at }) => (pods.get(object) - at) / 1000);
  if (latencies.length !== count || pods.size !== count || latencies.some((l) => !(l >= 0))) {
    throw new Error(`${connections.length} connections and ${pods.size} Pods, ${count} of each were expected`);
  }
  const begin = connections[0].at;
  const seconds = (requests) => (Math.max(...requests.map((r) => r.at)) - begin) / 1e6;
  return {
    latencies,
    times,
    createdIn: seconds(connections),
    rate: count / seconds(made('pods', from)),
    requests: audit.requests.slice(from).filter((r) => r.at >= begin && ours(r)),
  };
}

/** The operator's requests while nothing happens. */
async function steady(seconds) {
  audit.read();
  const from = audit.requests.length;
  await new Promise((resume) => setTimeout(resume, seconds * 1000));
  audit.read();
  return audit.requests.slice(from).filter((r) => r.user === subject.user);
}

const mebibytes = (field) => {
  const status = readFileSync(`/proc/${process.env.OPERATOR_PID}/status`, 'utf8');
  return (Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)[1]) / 1024).toFixed(1);
};
const each = (requests, count) => (requests.length / count).toFixed(2);
const milliseconds = (values, p) => percentile(values, p).toFixed(1);
const names = (prefix, count) => Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(5, '0')}`);

const conditions = machine();
const idle = mebibytes('VmRSS');
// The first connection of a namespace waits for the namespace to be ready; that is not what is measured.
await part(2, async (create) => {
  await create('one', 'first');
  await create('burst', 'first');
});
say(`${SINGLES} connections, one at a time`);
const single = await part(SINGLES, async (create) => {
  for (const name of names('one', SINGLES)) {
    const there = await create('one', name);
    await audit.until(`the Pod of ${name}`, DEADLINE_S, there);
    await quiet(SETTLED_MS);
  }
});
say(`a burst of ${BURST}`);
const before = processorTimes();
const burst = await part(BURST, (create) => Promise.all(names('burst', BURST).map((name) => create('burst', name))));
const running = SINGLES + BURST + 2;
const afterBurst = mebibytes('VmRSS');
say(`nothing happens for ${STEADY_S} s`);
const still = await steady(STEADY_S);
const perHour = (requests) => (requests.length * 3600) / STEADY_S;
const rest = Math.max(0, MANY - running);
say(`${rest} suspended connections more`);
await Promise.all(names('rest', rest).map((name) => make('burst', name, { state: 'Suspended' })));
await quiet(QUIET_MS);

const profile = process.env.OPERATOR_PROFILE;
const rows = [
  [`CR to Pod, one at a time (${SINGLES}): p50`, milliseconds(single.latencies, 50), 'ms'],
  [`CR to Pod, one at a time (${SINGLES}): p99 (the slowest)`, milliseconds(single.latencies, 99), 'ms'],
  [`burst of ${BURST}: Pods created`, burst.rate.toFixed(1), '1/s'],
  [`burst of ${BURST}: CRs created by the benchmark within`, burst.createdIn.toFixed(2), 's'],
  [`burst of ${BURST}: CR to Pod, p50`, milliseconds(burst.latencies, 50), 'ms'],
  [`burst of ${BURST}: CR to Pod, p99`, milliseconds(burst.latencies, 99), 'ms'],
  ['operator RSS before the first connection', idle, 'MiB'],
  [`operator RSS with ${running} connections and their pods`, afterBurst, 'MiB'],
  [`operator RSS with ${running + rest} connections, ${running} of them with pods`, mebibytes('VmRSS'), 'MiB'],
  ['operator RSS at most', mebibytes('VmHWM'), 'MiB'],
  ['API requests per connection, one at a time', each(single.requests, SINGLES), ''],
  ['API requests per connection, burst', each(burst.requests, BURST), ''],
  ['API requests per connection and steady hour', (perHour(still.filter(ours)) / running).toFixed(2), ''],
  ['API requests of the operator itself per steady hour (watches, lease)', perHour(still.filter(standing)).toFixed(0), ''],
];
const kinds = ({ verb, what, code, agent }) => `${verb} ${what} ${code} | ${agent}`;
const seen = [...new Set([...single.requests, ...burst.requests].map(kinds))].sort();
const of = (requests, kind, count) => each(requests.filter((r) => kinds(r) === kind), count);

console.log(`${subject.title}: profile ${profile}. Kubernetes ${await kubernetes.version()}. ${conditions}.\n`);
console.log(table(['measure', 'value', 'unit'], rows));
console.log('\n| request of the operator | user agent | one at a time | burst |\n|---|---|---:|---:|');
for (const kind of seen) console.log(`| ${kind} | ${of(single.requests, kind, SINGLES)} | ${of(burst.requests, kind, BURST)} |`);

const spent = Object.keys(burst.times).map((name) => [name, burst.times[name] - (before[name] ?? 0), 's']);
const most = spent.filter(([, seconds]) => seconds >= 0.5).sort((a, b) => b[1] - a[1]);
console.log('\nWhere the processor was until the last Pod of the burst:\n');
console.log(table(['program', 'time', 'unit'], most.map(([name, seconds, unit]) => [name, seconds.toFixed(1), unit])));

kubernetes.close();
audit.close();

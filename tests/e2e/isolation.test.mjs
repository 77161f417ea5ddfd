// Two accounts of one company and one of another, and what one of them could reach of the other or of the cluster if its page went wild; and
// what those who run them may. Each refusal stands beside something that is allowed, so that it cannot be that nothing works.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { createServer } from 'node:net';
import { Connection, fresh, refusalOf } from './lib/connection.mjs';
import { eventually } from './lib/eventually.mjs';
import { attempt, list, secret } from './lib/kubectl.mjs';
import { onNode, probe, RESTRICTED } from './lib/probe.mjs';
import { containersOf, processes } from './lib/processes.mjs';
import { reach } from './lib/reach.mjs';
import { Redis } from './lib/redis.mjs';
import { World } from './lib/world.mjs';

const OURS = /^(whatsapp-system|company-)/;
let world, own, other, foreign, stranger, node, redisRoute;
const closing = [];

before(async () => {
  world = await World.open();
  const api = world.api('acme');
  [own, other, foreign] = await Promise.all(
    [['acme', 'one'], ['acme', 'two'], ['globex', 'three']].map(([company, name]) => Connection.apply(company, fresh(name))),
  );
  // Then both have everything in Redis that a session has before its phone is linked.
  const code = (connection) => () => api.get(`/whatsapp/connections/${connection.id}/qr`);
  await Promise.all([own, other].map((connection) => eventually(`a code of ${connection.name}`, 90, code(connection))));
  await eventually('the pod of another company runs', 90, () => foreign.pod(), (pod) => pod?.status.phase === 'Running');
  const pod = await own.pod();
  [stranger, node, redisRoute] = await Promise.all([
    probe('whatsapp-simulator', 'stranger', RESTRICTED),
    onNode(pod.spec.nodeName),
    reach(world.namespace, 'whatsapp-redis', 6379),
  ]);
});

after(async () => {
  for (const close of closing) close();
  redisRoute?.close();
  await Promise.all([own?.delete(), other?.delete(), foreign?.delete(), stranger?.remove(), node?.remove()]);
  world?.close();
});

const look = (host, port) => `timeout 3 bash -c '</dev/tcp/${host}/${port}' 2>/dev/null && echo open || echo closed`;
const fromSession = async (host, port) => (await own.shell(look(host, port))).trim();
const fromStranger = async (host, port) => (await stranger.exec(look(host, port))).trim();
/** All at once: whoever is kept out hears nothing, and waits. */
const closed = (from, places) =>
  Promise.all(places.map(async ([host, port]) => assert.equal(await from(host, port), 'closed', `${host}:${port}`)));
const service = (name, namespace = world.namespace) => `${name}.${namespace}.svc.cluster.local`;

test('a session reaches Redis and itself, and no other session, nor any other part of the cluster', async () => {
  assert.equal(await fromSession(service('whatsapp-redis'), 6379), 'open');
  assert.equal(await fromSession('127.0.0.1', 8080), 'open', 'its own port is there');
  const [neighbour, ofAnotherCompany] = (await Promise.all([other.pod(), foreign.pod()])).map(({ status }) => status);
  const fromNode = async (host) => (await node.exec(look(host, 8080))).trim();
  for (const { podIP } of [neighbour, ofAnotherCompany]) assert.equal(await fromNode(podIP), 'open', 'somebody listens there');
  // Where the API server itself is, besides its Service.
  const [{ endpoints, ports }] = await list('default', 'endpointslices', '--selector', 'kubernetes.io/service-name=kubernetes');
  await closed(fromSession, [
    [neighbour.podIP, 8080],
    [ofAnotherCompany.podIP, 8080],
    [endpoints[0].addresses[0], ports[0].port],
    [neighbour.hostIP, 10250],
    [service('whatsapp-postgresql'), 5432],
    [service('whatsapp-api'), 3001],
    [service('simulator', 'whatsapp-simulator'), 8081],
    [service('kubernetes', 'default'), 443],
    ['169.254.169.254', 80],
    ['169.254.169.254', 443],
  ]);
});

test('link-local addresses, where clouds tell a machine its secrets, are closed although somebody answers', async (t) => {
  // Our own cluster's nodes are this machine, so there can be a listener at such an address. Not at 169.254.169.254 itself,
  // which this machine may need.
  if (!process.env.CLUSTER_HOST_IP) return t.skip('the nodes are not this machine');
  const ADDRESS = '169.254.169.253';
  execFileSync('ip', ['address', 'replace', `${ADDRESS}/32`, 'dev', 'wacbr0']);
  closing.push(() => execFileSync('ip', ['address', 'delete', `${ADDRESS}/32`, 'dev', 'wacbr0']));
  const ports = await Promise.all([80, 443].map((port) => new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.end()).listen(port, ADDRESS, () => resolve(port)).on('error', reject);
    closing.unshift(() => server.close());
  })));
  for (const port of ports) assert.equal(await fromStranger(ADDRESS, port), 'open', 'to a pod without the policy');
  await closed(fromSession, ports.map((port) => [ADDRESS, port]));
});

test('nobody else reaches Redis, PostgreSQL, or what operator and API serve to the cluster alone', async () => {
  const pods = await list(world.namespace, 'pods', '--field-selector=status.phase=Running');
  const admins = pods.filter(({ metadata }) => ['operator', 'api'].includes(metadata.labels['app.kubernetes.io/component']));
  assert.ok(admins.length >= 2);
  assert.equal(await fromStranger(service('whatsapp-api'), 3001), 'open', 'the API is for everybody');
  await closed(fromStranger, [
    [service('whatsapp-redis'), 6379],
    [service('whatsapp-postgresql'), 5432],
    [(await own.pod()).status.podIP, 8080],
    ...admins.map(({ status }) => [status.podIP, 8080]),
  ]);
});

test('the Redis user of a session reads and writes its own names, and nothing of another session', async () => {
  const credentials = async (connection) => {
    const { volumes } = (await connection.pod()).spec;
    const name = volumes.find((volume) => volume.name === 'relay').secret.secretName;
    return Promise.all(['username', 'password'].map((key) => secret(connection.namespace, name, key)));
  };
  const redis = await Redis.login(redisRoute.url, ...(await credentials(own)));
  closing.push(() => redis.close());
  const tries = ({ id }) => [
    ['GET', `wa:{${id}}:status`],
    ['GET', `wa:{${id}}:link`],
    ['GET', `wa:{${id}}:lease`],
    ['SET', `wa:{${id}}:status`, 'x'],
    ['DEL', `wa:{${id}}:link`],
    ['XADD', `wa:{${id}}:events`, '*', 'e', 'x'],
    ['XADD', `wa:{${id}}:commands`, '*', 'c', 'x'],
    ['XREAD', 'STREAMS', `wa:{${id}}:events`, '0'],
    ['XREAD', 'STREAMS', `wa:{${id}}:commands`, '0'],
    ['EVAL', 'return redis.call("GET", KEYS[1])', '1', `wa:{${id}}:link`],
    // Keys that a script does not declare are checked when it calls.
    ['EVAL', `return redis.call("GET", "wa:{${id}}:link")`, '0'],
    ['EVAL', `return redis.call("PUBLISH", "wa:status:${id}", "x")`, '0'],
    ['PUBLISH', `wa:status:${id}`, 'x'],
    ['PUBLISH', `wa:wake:commands:${id}`, 'x'],
    ['SUBSCRIBE', `wa:live:${id}`],
    ['SUBSCRIBE', `wa:wake:events:${id}`],
  ];
  const refused = (answer, command) =>
    assert.match(answer?.error ?? JSON.stringify(answer), /NOPERM|can't (access|publish)|not allowed/, command.join(' '));
  for (const command of tries(other)) refused(await redis.ask(...command), command);
  for (const command of [
    ['SUBSCRIBE', 'wa:company:acme'],
    ['PUBLISH', 'wa:company:acme', 'x'],
    ['PSUBSCRIBE', '*'],
    ['SCAN', '0'],
    ['KEYS', '*'],
    ['RANDOMKEY'],
    ['ACL', 'LIST'],
    ['ACL', 'SETUSER', 'default', 'nopass'],
    ['CONFIG', 'GET', '*'],
    ['CLIENT', 'LIST'],
    ['MONITOR'],
    ['INFO'],
    ['DEBUG', 'SLEEP', '0'],
    ['FLUSHALL'],
    ['SHUTDOWN'],
    ['FUNCTION', 'LIST'],
  ]) {
    refused(await redis.ask(...command), command);
  }
  assert.equal(typeof (await redis.ask('GET', `wa:{${own.id}}:status`)), 'string', 'its own it may read');
  assert.equal(await redis.ask('PUBLISH', `wa:live:${own.id}`, '{}') >= 0, true, 'and speak on');
});

test('a pod that is not restricted is refused in a company\'s namespace, whoever asks', async () => {
  const { securityContext, container } = RESTRICTED;
  const pod = (spec, contained = container) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'rogue', namespace: own.namespace },
    spec: { securityContext, ...spec, containers: [{ name: 'rogue', image: 'rogue', ...contained }] },
  });
  const weaker = (change) => ({ securityContext: { ...container.securityContext, ...change } });
  assert.equal(await refusalOf(pod({})), undefined, 'a restricted one is taken');
  const rogues = Object.entries({
    'as root': pod({ securityContext: { ...securityContext, runAsNonRoot: false, runAsUser: 0 } }),
    privileged: pod({}, weaker({ privileged: true, allowPrivilegeEscalation: true })),
    'with capabilities': pod({}, weaker({ capabilities: { add: ['NET_ADMIN'] } })),
    'without seccomp': pod({ securityContext: { runAsNonRoot: true, runAsUser: 10001 } }),
    "on the node's network": pod({ hostNetwork: true }),
    "among the node's processes": pod({ hostPID: true }),
    "with the node's files": pod({ volumes: [{ name: 'root', hostPath: { path: '/' } }] }),
  });
  const byOperator = ['create', '--dry-run=server', '--as', account('operator'), '--filename', '-'];
  await Promise.all(rogues.map(async ([what, rogue]) => {
    assert.match((await refusalOf(rogue)) ?? 'taken', /violates PodSecurity "restricted/, what);
    assert.match((await attempt(byOperator, rogue)).stderr, /violates PodSecurity "restricted/, `${what}, by the operator`);
  }));
});

const account = (who) => `system:serviceaccount:${world.namespace}:whatsapp-${who}`;

test('the operator lists no Secret, and the API touches no pod and no Secret', async () => {
  const as = (who, ...args) => attempt(['--as', account(who), ...args]);
  assert.equal((await as('operator', 'get', 'pods', '--namespace', own.namespace)).code, 0);
  assert.equal((await as('api', 'get', 'wac', '--all-namespaces')).code, 0);
  const everywhere = ['--all-namespaces'];
  const [home, system] = [own.namespace, world.namespace].map((namespace) => ['--namespace', namespace]);
  const refused = [];
  for (const where of [everywhere, home, system]) {
    refused.push(['operator', 'get', 'secrets', ...where], ['api', 'get', 'secrets', ...where], ['api', 'get', 'pods', ...where]);
  }
  refused.push(
    ['operator', 'get', 'secret', 'whatsapp-credentials', ...system],
    ['operator', 'delete', 'secrets', '--all', '--dry-run=server', ...home],
    ['operator', 'exec', own.name, ...home, '--', 'true'],
    ['operator', 'get', 'pods', ...everywhere],
    ['api', 'get', 'secret', 'whatsapp-credentials', ...system],
    ['api', 'delete', 'pod', own.name, ...home, '--dry-run=server'],
    ['api', 'logs', own.name, ...home],
    ['api', 'exec', own.name, ...home, '--', 'true'],
    ['api', 'patch', 'wac', own.name, ...home, '--subresource=status', '--type=merge', '--patch={}'],
  );
  await Promise.all(refused.map(async ([who, ...args]) =>
    assert.match((await as(who, ...args)).stderr, /\(Forbidden\)|cannot .* resource/, `${who}: ${args.join(' ')}`),
  ));
});

test('whatever runs is nobody in particular, may nothing, and finds nothing to write to', async () => {
  const pods = (await list(undefined, 'pods', '--all-namespaces', '--field-selector=status.phase=Running')).filter(
    ({ metadata, spec }) => OURS.test(metadata.namespace) && !metadata.deletionTimestamp && spec.nodeName === node.name,
  );
  const containers = containersOf(pods);
  const seen = await processes(node, containers.map(({ id }) => id));
  for (const { id, name } of containers) {
    const its = seen.filter(({ container }) => container === id);
    assert.ok(its.length > 0, `no process of ${name} was found`);
    for (const { pid, args, ...one } of its) {
      const what = `${name}, process ${pid} (${args.split('\n')[0]})`;
      assert.ok(one.user >= 999, `${what} runs as ${one.user}`);
      assert.equal(one.capabilities, 0n, `${what} has capabilities`);
      assert.deepEqual(
        [one.noNewPrivileges, one.seccomp, one.readOnlyRoot],
        [true, true, true],
        `${what}: no new privileges, seccomp, a read-only root`,
      );
    }
  }
  const names = containers.map(({ name }) => name.split('/').at(-1));
  for (const expected of ['operator', 'api', 'redis', 'postgresql', 'session']) assert.ok(names.includes(expected), `${expected} was not looked at`);
  const session = containers.find(({ name }) => name.startsWith(`${own.namespace}/${own.name}/`));
  const { pid } = seen.find(({ container }) => container === session.id);
  const token = await node.exec(`ls /proc/${pid}/root/run/secrets/relay >/dev/null && ls /proc/${pid}/root/run/secrets/kubernetes.io 2>&1 || true`);
  assert.match(token, /No such file/, 'a session holds a token of Kubernetes');
});

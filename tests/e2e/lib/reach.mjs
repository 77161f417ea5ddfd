// The way from here to a Service. Our own cluster's addresses are routed on this machine; kind's are not, there kubectl
// forwards a port, and is ended by whoever started it.
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { object } from './kubectl.mjs';

const ROUTED_MS = 500;
const FORWARDED_MS = 15_000;

/** `{url, close}` of a Service's port. */
export async function reach(namespace, service, port) {
  const { clusterIP } = (await object(namespace, 'service', service)).spec;
  if (await answers(clusterIP, port)) return { url: `http://${clusterIP}:${port}`, close() {} };
  const { local, child } = await forward(namespace, service, port);
  return { url: `http://127.0.0.1:${local}`, close: () => child.kill() };
}

function answers(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: ROUTED_MS });
    const say = (answer) => () => {
      socket.destroy();
      resolve(answer);
    };
    socket.on('connect', say(true)).on('error', say(false)).on('timeout', say(false));
  });
}

/** A forwarded port on a free number, and the process that does it. */
export function forward(namespace, service, port, options = {}) {
  const args = ['port-forward', '--namespace', namespace, `service/${service}`, `:${port}`, '--address', '127.0.0.1'];
  const child = spawn('kubectl', args, { stdio: ['ignore', 'pipe', 'inherit'], ...options });
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill();
      reject(new Error(`kubectl ${args.join(' ')} did not listen within ${FORWARDED_MS} ms`));
    }, FORWARDED_MS);
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      const local = /127\.0\.0\.1:(\d+)/.exec((said += text))?.[1];
      if (!local) return;
      clearTimeout(late);
      resolve({ local, child });
    });
    child.on('exit', (code) => reject(new Error(`kubectl ${args.join(' ')} ended with ${code}: ${said}`)));
  });
}

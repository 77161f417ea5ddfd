// The cluster, by kubectl as a person would use it (KUBECONFIG and PATH come from `tests/cluster/cluster env`).
import { spawn } from 'node:child_process';

/** Longest call: a deletion that waits for a pod with a grace of 45 s. */
const LONGEST_MS = 90_000;

/** Runs kubectl and gives `{code, stdout, stderr}`, whatever came of it. An object as input goes in as JSON. */
export function attempt(args, input) {
  return new Promise((resolve, reject) => {
    const child = spawn('kubectl', args, { timeout: LONGEST_MS, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
    child.stdin.end(input === undefined ? '' : JSON.stringify(input));
  });
}

/** What kubectl printed; an error with its own words when it failed. */
export async function kubectl(...args) {
  const input = typeof args.at(-1) === 'object' ? args.pop() : undefined;
  const { code, stdout, stderr } = await attempt(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

/** An object, or undefined when there is none. */
export async function object(namespace, kind, name) {
  const text = await kubectl('get', kind, name, '--namespace', namespace, '--ignore-not-found', '--output=json');
  return text ? JSON.parse(text) : undefined;
}

/** All objects of these kinds, of one namespace or without one. */
export async function list(namespace, kinds, ...more) {
  const where = namespace ? ['--namespace', namespace] : [];
  return JSON.parse(await kubectl('get', kinds, ...where, ...more, '--output=json')).items;
}

/** What stands in a Secret. */
export async function secret(namespace, name, key) {
  const found = await object(namespace, 'secret', name);
  if (!found?.data?.[key]) throw new Error(`there is no ${key} in the Secret ${namespace}/${name}`);
  return Buffer.from(found.data[key], 'base64').toString();
}

// What the tests stand on: the simulator as a process, a real Chromium, and a page that is driven exactly as the session
// pod drives it (probe, prelude, wa-js, bridge, each evaluated late; events through a CDP binding). Nothing here knows wa-js.
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const SIMULATOR =
  process.env.SIMULATOR ??
  join(process.env.CARGO_TARGET_DIR ?? join(process.env.WAC_CACHE ?? join(process.env.HOME, '.cache/whatsapp-operator'), 'target'), 'debug/simulator');
const PATIENCE_MS = 10_000;
/** The session pod waits 2 s; the simulator's modules come 100 ms apart. */
const SETTLED_MS = 300;

const script = Object.fromEntries(
  await Promise.all(
    ['probe', 'prelude', 'wa-js', 'bridge'].map(async (name) => [
      name,
      await readFile(new URL(`../dist/${name}.js`, import.meta.url), 'utf8'),
    ]),
  ),
);

/** Waits until `look` gives something, and says what it saw last when it does not. */
export async function until(what, look, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (Date.now() > deadline) throw new Error(`waited ${patience} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A directory that is gone after the test. */
export async function directory(t) {
  const path = await mkdtemp(join(tmpdir(), 'bridge-'));
  t.after(() => rm(path, { recursive: true, force: true, maxRetries: 5 }));
  return path;
}

export async function startSimulator(t, ...args) {
  const tls = await directory(t);
  const child = spawn(SIMULATOR, ['--tls-dir', tls, '--listen', '127.0.0.1:0', '--control', '127.0.0.1:0', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, NO_COLOR: '1', RUST_LOG: 'info' },
  });
  t.after(() => child.kill());
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (log += text));
  const started = await until('the simulator to start', () => {
    if (child.exitCode !== null) throw new Error(`the simulator ended: ${log}`);
    return /page=(\S+) control=(\S+) spki="?([^"\s]+)/.exec(log.replaceAll(/\x1b\[[0-9;]*m/g, ''));
  });
  const [, page, url, spki] = started;
  const call = async (method, path, body) => {
    const answer = await fetch(url + path, { method, body: body && JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text;
  };
  return { page, spki, get: (path) => call('GET', path), post: (path, body) => call('POST', path, body) };
}

export async function startBrowser(t, simulator, profile) {
  const browser = await puppeteer.launch({
    executablePath: CHROMIUM,
    userDataDir: profile,
    // Only Linux users other than root may use the sandbox; the session pod has its own rules for this.
    args: [
      ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu',
      '--disable-dev-shm-usage',
      `--host-resolver-rules=MAP web.whatsapp.com ${simulator.page}`,
      `--ignore-certificate-errors-spki-list=${simulator.spki}`,
    ],
  });
  t.after(() => browser.close().catch(() => {}));
  return browser;
}

/** One page of WhatsApp, and what came out of it. */
export class Session {
  events = [];

  /** `before`: an earlier session whose `problems` and `requests` this one continues. `options`: the bridge's. */
  static async open(browser, { path = '/', before, options = { life: 1 } } = {}) {
    const session = new Session();
    session.options = options;
    session.problems = before?.problems ?? [];
    session.requests = before?.requests ?? [];
    session.page = await browser.newPage();
    session.page.on('request', (request) => session.requests.push(request.url()));
    session.page.on('console', (message) => message.type() === 'error' && session.problems.push(message.text()));
    session.page.on('pageerror', (error) => session.problems.push(String(error)));
    await session.page.exposeFunction('sessionPodEmit', (text) => session.events.push(JSON.parse(text)));
    await session.page.goto(`https://web.whatsapp.com${path}`);
    return session;
  }

  probe(page = this.page) {
    return page.evaluate(script.probe).then(JSON.parse);
  }

  /** As the session pod does it: wait until nothing is missing and the number stands still, then inject. */
  async inject() {
    await this.settled();
    await this.injectNow();
  }

  async settled() {
    let last = { modules: -1, at: Date.now() };
    await until('the modules to settle', async () => {
      const { modules, missing } = await this.probe();
      if (modules !== last.modules) last = { modules, at: Date.now() };
      return missing.length === 0 && Date.now() - last.at > SETTLED_MS;
    });
  }

  async injectNow() {
    await this.page.evaluate(script.prelude);
    await this.page.evaluate(`if (!window.WPP) { ${script['wa-js']} }`);
    await this.page.evaluate((options) => (window.sessionBridgeOptions ??= options), this.options);
    await this.page.evaluate(`if (!window.sessionBridge) { ${script.bridge} }`);
  }

  /** From here on, `event` and `all` see only what comes later. */
  mark() {
    this.events = [];
  }

  /** The body of the first event of this kind that fits. */
  event(kind, fits = () => true, patience = PATIENCE_MS) {
    const seen = () => this.events.find((event) => event.kind === kind && fits(event.body));
    return until(kind, seen, patience).then(
      ({ body }) => body,
      (error) => {
        throw new Error(`${error.message}; came: ${JSON.stringify(this.events)}; problems: ${this.problems.join('; ')}`);
      },
    );
  }

  /** The bodies of all events of this kind. */
  all(kind) {
    return this.events.filter((event) => event.kind === kind).map(({ body }) => body);
  }

  async answer(method, args = {}) {
    const text = await this.page.evaluate((name, json) => window.sessionBridge.call(name, json), method, JSON.stringify(args));
    return JSON.parse(text);
  }

  async call(method, args) {
    const answer = await this.answer(method, args);
    if (answer.error) throw new Error(`${method}: ${answer.error.code}: ${answer.error.message}`);
    return answer.ok;
  }

  async failure(method, args) {
    const { error } = await this.answer(method, args);
    return error?.code;
  }
}


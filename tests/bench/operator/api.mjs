// Objects made through the Kubernetes API, over connections that stay open: a kubectl for each would take the
// processor from what is being measured.
import { execFileSync } from 'node:child_process';
import { Agent, request } from 'node:https';

const TIMEOUT_MS = 20_000;

export class Kubernetes {
  #server;
  #agent;

  /** @param parallel creations at once */
  constructor(parallel) {
    const config = JSON.parse(
      execFileSync('kubectl', ['config', 'view', '--raw', '--flatten', '--minify', '--output=json'], { timeout: TIMEOUT_MS }),
    );
    const { server, 'certificate-authority-data': ca } = config.clusters[0].cluster;
    const { 'client-certificate-data': cert, 'client-key-data': key } = config.users[0].user;
    const [authority, certificate, secret] = [ca, cert, key].map((data) => Buffer.from(data, 'base64'));
    this.#server = server;
    this.#agent = new Agent({ keepAlive: true, maxSockets: parallel, ca: authority, cert: certificate, key: secret });
  }

  close() {
    this.#agent.destroy();
  }

  version() {
    return this.#call('GET', '/version').then((answer) => answer.gitVersion);
  }

  create(path, object) {
    return this.#call('POST', path, object);
  }

  #call(method, path, body) {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json' };
      const options = { method, agent: this.#agent, headers, timeout: TIMEOUT_MS };
      const call = request(new URL(path, this.#server), options, async (response) => {
        try {
          let text = '';
          for await (const part of response.setEncoding('utf8')) text += part;
          if (response.statusCode >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
          resolve(JSON.parse(text));
        } catch (error) {
          reject(error);
        }
      });
      call.on('timeout', () => call.destroy(new Error(`${method} ${path}: no answer in ${TIMEOUT_MS} ms`)));
      call.on('error', reject);
      call.end(body && JSON.stringify(body));
    });
  }
}

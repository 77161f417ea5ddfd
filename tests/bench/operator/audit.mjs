// The API server's audit log as it grows: every time and every count of the benchmark is read from it, so that there is
// one clock (the API server's, in microseconds) and no measuring client in between.
import { closeSync, openSync, readSync } from 'node:fs';

const CHUNK = 1 << 20;

/** How often a wait looks; a look is a read of a local file, and costs the API server nothing. */
const PACE_MS = 5;

/** Microseconds since 1970. A Date would cut them to milliseconds. */
export const microseconds = (time) => Date.parse(`${time.slice(0, 19)}Z`) * 1000 + Number(time.slice(20, 26));

export class AuditLog {
  #file;
  #rest = Buffer.alloc(0);
  /** Finished requests, oldest first. */
  requests = [];

  constructor(path) {
    this.#file = openSync(path, 'r');
  }

  close() {
    closeSync(this.#file);
  }

  /** Reads what was added; a line that is not complete yet waits for its end. */
  read() {
    const chunk = Buffer.alloc(CHUNK);
    for (let length; (length = readSync(this.#file, chunk, 0, CHUNK, null)) > 0; ) {
      const text = Buffer.concat([this.#rest, chunk.subarray(0, length)]);
      const end = text.lastIndexOf(0x0a) + 1;
      this.#rest = text.subarray(end);
      for (const line of text.toString('utf8', 0, end).split('\n')) if (line) this.#take(JSON.parse(line));
    }
  }

  #take(event) {
    if (event.stage !== 'ResponseComplete') return;
    const { resource = event.requestURI, subresource, namespace, name } = event.objectRef ?? {};
    this.requests.push({
      at: microseconds(event.requestReceivedTimestamp),
      user: event.user.username,
      agent: event.userAgent || 'none sent',
      verb: event.verb,
      what: subresource ? `${resource}/${subresource}` : resource,
      object: `${namespace}/${name}`,
      code: event.responseStatus?.code,
    });
  }

  /** What `look` gives, as soon as that is something. */
  async until(what, seconds, look) {
    const end = performance.now() + seconds * 1000;
    for (;;) {
      this.read();
      const seen = look();
      if (seen !== undefined && seen !== false) return seen;
      if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`);
      await new Promise((resume) => setTimeout(resume, PACE_MS));
    }
  }
}

// Redis, asked as one of its users: its protocol as far as a test needs it.
import { connect } from 'node:net';

const LONGEST_MS = 5_000;

/** One connection. `ask` gives the answer of a command, or the error as `{error}`. */
export class Redis {
  #socket;
  #received = Buffer.alloc(0);
  #waiting = [];

  static async login(url, user, password) {
    const redis = new Redis();
    const { hostname, port } = new URL(url);
    redis.#socket = connect({ host: hostname, port: Number(port) });
    await new Promise((resolve, reject) => redis.#socket.once('connect', resolve).once('error', reject));
    redis.#socket.on('data', (bytes) => redis.#take(bytes)).on('error', () => {});
    const answer = await redis.ask('AUTH', user, password);
    if (answer !== 'OK') throw new Error(`Redis did not take ${user}: ${answer.error}`);
    return redis;
  }

  ask(...words) {
    const parts = words.map(String).map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`Redis said nothing to ${words[0]}`)), LONGEST_MS);
      this.#waiting.push((answer) => {
        clearTimeout(late);
        resolve(answer);
      });
      this.#socket.write(`*${words.length}\r\n${parts.join('')}`);
    });
  }

  close() {
    this.#socket.destroy();
  }

  #take(bytes) {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (let found = parse(this.#received, 0); found; found = parse(this.#received, 0)) {
      this.#received = this.#received.subarray(found.end);
      this.#waiting.shift()?.(found.value);
    }
  }
}

/** `{value, end}` of the answer that begins at `start`, or nothing when it is not all there yet. */
function parse(bytes, start) {
  const line = bytes.indexOf('\r\n', start);
  if (line < 0) return undefined;
  const text = bytes.toString('utf8', start + 1, line);
  const after = line + 2;
  switch (String.fromCharCode(bytes[start])) {
    case '+': return { value: text, end: after };
    case '-': return { value: { error: text }, end: after };
    case ':': return { value: Number(text), end: after };
    case '$': {
      const length = Number(text);
      if (length < 0) return { value: null, end: after };
      if (bytes.length < after + length + 2) return undefined;
      return { value: bytes.toString('utf8', after, after + length), end: after + length + 2 };
    }
    case '*': {
      const items = [];
      let end = after;
      for (let left = Number(text); left > 0; left -= 1) {
        const item = parse(bytes, end);
        if (!item) return undefined;
        items.push(item.value);
        end = item.end;
      }
      return { value: items, end };
    }
    default: throw new Error(`not Redis: ${bytes.toString('utf8', start, line)}`);
  }
}

// The product's REST, as a frontend calls it.

/** Longest answer; the service's own deadline is 20 s. */
const LONGEST_MS = 25_000;

export class Api {
  constructor(url, token) {
    this.url = url;
    this.token = token;
  }

  /** The same service for somebody else. */
  as(token) {
    return new Api(this.url, token);
  }

  /**
   * One call: `{status, headers, body}`, whatever came of it. `body` goes out as JSON unless it is text; what comes in is
   * parsed when it says that it is JSON, text when it says so, and bytes otherwise.
   */
  async call(method, path, { body, headers = {}, key } = {}) {
    const answer = await fetch(this.url + path, {
      method,
      body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      headers: {
        ...(this.token === undefined ? {} : { authorization: `Bearer ${this.token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
        ...headers,
      },
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    const type = answer.headers.get('content-type') ?? '';
    const bytes = Buffer.from(await answer.arrayBuffer());
    const text = /json|text|svg/.test(type) ? bytes.toString() : undefined;
    const parsed = /json/.test(type) ? JSON.parse(text) : (text ?? bytes);
    return { status: answer.status, headers: answer.headers, body: parsed };
  }

  /** The body of an answer that must be good. */
  async ok(method, path, options) {
    const answer = await this.call(method, path, options);
    if (answer.status >= 300) {
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    }
    return answer.body;
  }

  get(path, options) {
    return this.ok('GET', path, options);
  }

  post(path, body, options = {}) {
    return this.ok('POST', path, { body, ...options });
  }

  delete(path) {
    return this.ok('DELETE', path);
  }
}

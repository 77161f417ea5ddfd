// A phone, played through the simulator's control API.

import { eventually } from './eventually.mjs';

const LONGEST_MS = 10_000;

export class Phone {
  /** The phone of that number; without one, a number that no earlier run has used. */
  constructor(control, number = `5511${String(Math.floor(Math.random() * 1e9)).padStart(9, '0')}`) {
    this.control = control;
    this.number = number;
  }

  /** The account's id in WhatsApp. */
  get id() {
    return `${this.number}@c.us`;
  }

  async call(method, path, body) {
    const answer = await fetch(this.control + path, {
      method,
      body: body && JSON.stringify(body),
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`simulator ${method} ${path}: ${answer.status} ${text}`);
    return text && answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : undefined;
  }

  scan(qr, pushName) {
    return this.call('POST', '/scan', { qr, phone: this.number, pushName });
  }

  /** Somebody writes to this phone's account. */
  receive(chat, text, more = {}) {
    return this.call('POST', `/accounts/${this.number}/messages`, { chat, text, ...more });
  }

  /** The other side's receipt for a message that the account sent: 2 delivered, 3 read. */
  acknowledge(id, ack) {
    return this.call('POST', `/accounts/${this.number}/acks`, { id, ack });
  }

  /** What the account's page sent, every attempt. */
  sent() {
    return this.call('GET', `/accounts/${this.number}/sent`);
  }

  /** The pages that are connected with this account. */
  async pages() {
    const pages = await this.call('GET', '/pages');
    return pages.filter((page) => page.phone === this.number);
  }

  /** Waits until none of these pages is there any more. Another may be before anybody looks. */
  async isGone(before) {
    const ids = before.map(({ id }) => id);
    await eventually('its page is gone', 60, () => this.pages(), (now) => now.every(({ id }) => !ids.includes(id)));
  }
}

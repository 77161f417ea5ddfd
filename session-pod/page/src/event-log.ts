// Numbers the events, remembers the last of them, and hands each to the session pod. The only way out of the page
// for an event; it must never throw into a listener of WhatsApp's.
import type { BridgeEvent, EventKind, Events } from './contract';
import { Failure } from './failure';

/** How many events a reader may fall behind before it has to read chats and messages anew. */
const KEPT = 1000;

export type Emit = <K extends EventKind>(kind: K, body: Events[K]) => void;

export class EventLog {
  readonly #kept: BridgeEvent[] = [];
  #last = 0;

  /** `life`: stands in every event. */
  constructor(readonly life: number) {}

  /** Number of the newest event, 0 before the first. */
  get last(): number {
    return this.#last;
  }

  readonly emit: Emit = (kind, body) => {
    this.#last += 1;
    const event = { life: this.life, n: this.#last, kind, body } as BridgeEvent;
    this.#kept.push(event);
    if (this.#kept.length > KEPT) this.#kept.shift();
    try {
      // Without the binding nothing is lost: the session pod resumes from the ring when it has attached.
      window.sessionPodEmit?.(JSON.stringify(event));
    } catch (error) {
      console.warn('session bridge: event not delivered', error);
    }
  };

  /** All events after number `after`. Fails with `gone` when some are forgotten, or when the page began a new life. */
  after(after: number): BridgeEvent[] {
    const oldest = this.#kept[0]?.n ?? this.#last + 1;
    if (after > this.#last || after + 1 < oldest) {
      throw new Failure('gone', `events after ${after} are gone: kept are ${oldest} to ${this.#last}`);
    }
    return this.#kept.filter((event) => event.n > after);
  }
}

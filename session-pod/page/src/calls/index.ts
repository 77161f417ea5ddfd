// All calls, each in its own file, with the time after which the session pod gets `timeout` for an answer.
// wa-js waits for ever in several places (logout, refreshQR, a query on a dead connection): every call ends here.
import type { Calls, Method } from '../contract';
import type { EventLog } from '../event-log';
import { chats } from './chats';
import { hasMessage } from './has-message';
import { logout } from './logout';
import { messages } from './messages';
import { queryExists } from './query-exists';
import { refreshQr } from './refresh-qr';
import { resume } from './resume';
import { sendText } from './send-text';
import { startPairing } from './start-pairing';
import { state } from './state';

export interface Call<M extends Method> {
  /** Milliseconds. */
  deadline: number;
  run(args: Calls[M]['args']): Calls[M]['ok'] | Promise<Calls[M]['ok']>;
}

export type CallTable = { [M in Method]: Call<M> };

export function callTable(log: EventLog): CallTable {
  return {
    state: { deadline: 5_000, run: state(log) },
    resume: { deadline: 5_000, run: resume(log) },
    sendText: { deadline: 20_000, run: sendText },
    hasMessage: { deadline: 10_000, run: hasMessage },
    queryExists: { deadline: 15_000, run: queryExists },
    refreshQr: { deadline: 15_000, run: refreshQr },
    startPairing: { deadline: 20_000, run: startPairing },
    logout: { deadline: 15_000, run: logout },
    chats: { deadline: 10_000, run: chats },
    messages: { deadline: 15_000, run: messages },
  };
}

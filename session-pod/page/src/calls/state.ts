// Where the page is right now, for a session pod that has just attached.
import type { Calls } from '../contract';
import type { EventLog } from '../event-log';
import { newest } from '../serialize/newest';
import { stream } from '../serialize/stream';
import { wpp } from '../wa-js';

export function state(log: EventLog) {
  return async (): Promise<Calls['state']['ok']> => {
    const now = stream();
    const auth = now && !now.authenticated ? await wpp().conn.getAuthCode() : null;
    return {
      life: log.life,
      ready: wpp().isFullReady,
      stream: now,
      qr: auth?.fullCode ?? null,
      lastEvent: log.last,
      newest: now?.authenticated && wpp().conn.isMainLoaded() ? newest() : null,
    };
  };
}

// The text of the QR code, whenever it changes; null when there is none any more.
import type { Emit } from '../event-log';
import { wpp } from '../wa-js';

export function onQr(emit: Emit): void {
  // A session that starts logged in has no code and nothing to say about one.
  let last: string | null = null;
  const look = (code: string | null): void => {
    if (code === last) return;
    last = code;
    emit('qr', { code });
  };
  wpp().on('conn.auth_code_change', (auth) => look(auth?.fullCode ?? null));
}

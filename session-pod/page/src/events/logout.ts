// The link to the phone is gone. WhatsApp says why right before it says that; then it reloads the page.
import type { Emit } from '../event-log';
import { wpp } from '../wa-js';

export function onLogout(emit: Emit): void {
  let reason: string | null = null;
  wpp().on('conn.logout_reason', (why) => {
    reason = why === undefined || why === null ? null : String(why);
  });
  wpp().on('conn.logout', () => {
    emit('logout', { reason });
    reason = null;
  });
}

// The state of the connection to WhatsApp, read from the models at the moment of asking.
// wa-js's `conn.main_ready` fires on the QR page too and once per page, and `conn.authenticated` never fires for a
// restored session: taken as "logged in" the one reports a page that waits for its QR code, the other never reports.
// So: mode and isAuthenticated() together, always read afresh.
import type { Stream } from '../contract';
import { wpp } from '../wa-js';
import { account } from './account';

/** Null until wa-js has found the modules. */
export function stream(): Stream | null {
  const { conn, isInjected } = wpp();
  if (!isInjected) return null;
  try {
    const { mode, info } = conn.getStreamData();
    if (!mode) return null;
    const authenticated = conn.isAuthenticated();
    return { mode, info: info ?? null, authenticated, account: authenticated ? account() : null };
  } catch {
    // A module is still missing: there is no state yet. `outdated` reports it if that stays so.
    return null;
  }
}

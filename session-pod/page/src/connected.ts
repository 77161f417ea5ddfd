// Guards for calls that make sense only on a logged-in page.
import { Failure } from './failure';
import { stream } from './serialize/stream';
import { wpp } from './wa-js';

/**
 * Fails with `not_ready` unless logged in with all chats loaded. Before that WhatsApp's stores are empty, and an empty
 * store would answer "there is no such message" to a question on which a second send depends.
 */
export function requireLoggedIn(): void {
  const now = stream();
  if (!now?.authenticated || !wpp().conn.isMainLoaded()) {
    throw new Failure('not_ready', `WhatsApp is not ready: ${now?.mode ?? 'loading'}`);
  }
}

/**
 * Fails with `not_ready` unless WhatsApp's server can be asked. Offline, WhatsApp keeps a send pending without end and
 * wa-js answers "no such number" for a number that it could not ask about.
 */
export function requireOnline(): void {
  requireLoggedIn();
  const now = stream();
  if (now?.mode !== 'MAIN' || (now.info !== null && now.info !== 'NORMAL')) {
    throw new Failure('not_ready', `WhatsApp is not connected: ${now?.mode ?? 'loading'} ${now?.info ?? ''}`);
  }
}

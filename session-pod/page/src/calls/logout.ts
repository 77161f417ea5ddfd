// Unlinks this device from the phone. WhatsApp reloads the page shortly after, so the answer may not get out: the event
// `logout`, or the QR code of the next page life, says the same.
import type { Calls } from '../contract';
import { Failure } from '../failure';
import { stream } from '../serialize/stream';
import { wpp } from '../wa-js';

export async function logout(): Promise<Calls['logout']['ok']> {
  // Without a login wa-js would wait for a logout that never comes.
  if (!stream()?.authenticated) throw new Failure('not_ready', 'no phone is linked');
  await wpp().conn.logout();
  return {};
}

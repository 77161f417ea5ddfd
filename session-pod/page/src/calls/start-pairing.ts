// Linking by a code that the person types into the phone, instead of a QR code. wa-js renews the code by itself.
import type { Calls } from '../contract';
import { Failure } from '../failure';
import { stream } from '../serialize/stream';
import { wpp } from '../wa-js';

const PHONE = /^\d{6,15}$/;

export async function startPairing({ phone }: Calls['startPairing']['args']): Promise<Calls['startPairing']['ok']> {
  if (typeof phone !== 'string' || !PHONE.test(phone)) {
    throw new Failure('invalid_id', `not a phone number of 6 to 15 digits: ${String(phone)}`);
  }
  const now = stream();
  if (!now || now.authenticated) throw new Failure('not_ready', now ? 'a phone is linked already' : 'still loading');
  return { code: await wpp().conn.startLinkDeviceCodeForPhoneNumber(phone, true) };
}

// A new QR code, also after `qrIdle`. Null when logged in.
import type { Calls } from '../contract';
import { wpp } from '../wa-js';

export async function refreshQr(): Promise<Calls['refreshQr']['ok']> {
  const code = await wpp().conn.refreshQR();
  return { code: code?.fullCode ?? null };
}

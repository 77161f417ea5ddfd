// WhatsApp has stopped making QR codes, after some that nobody scanned, until `refreshQr`.
import type { Emit } from '../event-log';
import { wpp } from '../wa-js';

export function onQrIdle(emit: Emit): void {
  wpp().on('conn.qrcode_idle', () => emit('qrIdle', {}));
}

// The pairing code is void and is not renewed any more.
import type { Emit } from '../event-log';
import { wpp } from '../wa-js';

export function onPairingCodeExpired(emit: Emit): void {
  wpp().on('conn.link_code_expired', () => emit('pairingCodeExpired', {}));
}

// The eight characters to type into the phone; wa-js renews them by itself a few times.
import type { Emit } from '../event-log';
import { wpp } from '../wa-js';

export function onPairingCode(emit: Emit): void {
  wpp().on('conn.link_code_change', (code) => emit('pairingCode', { code: String(code) }));
}

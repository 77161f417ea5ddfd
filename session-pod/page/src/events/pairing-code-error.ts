// Linking by pairing code failed.
import type { Emit } from '../event-log';
import { asFailure } from '../failure';
import { wpp } from '../wa-js';

export function onPairingCodeError(emit: Emit): void {
  wpp().on('conn.link_code_error', (error) => {
    const { code, message } = asFailure(error);
    emit('pairingCodeError', { code, message });
  });
}

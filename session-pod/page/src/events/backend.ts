// Signals of WhatsApp's server that change what the session may do. Only those of the list: others come by the
// hundred, and their names may carry content.
import type { Emit } from '../event-log';
import { wpp } from '../wa-js';

const PASSED_ON = new Set([
  'account_temporarily_banned',
  'storage_initialization_error',
  'service_unavailable_503',
  'unexpected_logout_modal',
  'on_initial_chat_synced',
  'offline_delivery_end',
]);

export function onBackend(emit: Emit): void {
  wpp().on('conn.backend_event', (name) => {
    if (PASSED_ON.has(name)) emit('backend', { name });
  });
}

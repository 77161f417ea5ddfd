// Mode, info, authentication and account, as one snapshot whenever any of it changes.
import type { Emit } from '../event-log';
import { stream } from '../serialize/stream';
import { wpp } from '../wa-js';

/** Everything after which the snapshot may be another one. None of them is believed: the snapshot is read anew. */
const HINTS = [
  'loader.ready',
  'loader.full_ready',
  'conn.stream_mode_changed',
  'conn.stream_info_changed',
  'conn.authenticated',
  'conn.require_auth',
  'conn.main_loaded',
  'conn.logout',
] as const;

export function onStream(emit: Emit): void {
  let last = '';
  const look = (): void => {
    const now = stream();
    const text = JSON.stringify(now);
    if (!now || text === last) return;
    last = text;
    emit('stream', now);
  };
  for (const hint of HINTS) wpp().on(hint, look);
  look();
}

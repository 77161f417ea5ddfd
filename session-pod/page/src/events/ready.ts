// `ready` once wa-js is ready altogether, or `outdated` when WhatsApp's modules are not those that wa-js knows.
import type { Versions } from '../contract';
import type { Emit } from '../event-log';
import { missingModules, registeredModules } from '../modules';
import { stream } from '../serialize/stream';
import { whenFullReady, wpp } from '../wa-js';

/** wa-js needs 1 to 2 s when the modules are there; it has given up by itself after 20 s. */
const PATIENCE_MS = 60_000;

/** What of WhatsApp the bridge needs through wa-js's finders; a finder that finds nothing gives undefined. */
const NEEDED = ['Conn', 'Socket', 'Stream', 'Cmd', 'ChatStore', 'MsgStore', 'ContactStore', 'WidFactory', 'MsgKey'];

export function versions(): Versions {
  return { waJs: wpp().version, whatsappWeb: window.Debug?.VERSION ?? null };
}

export function onReady(emit: Emit): void {
  const patience = setTimeout(() => {
    // wa-js calls itself fully ready only on a QR code or when logged in. A page that loads without a network, or is
    // refused by WhatsApp (CONFLICT, DEPRECATED_VERSION, …), has all its modules: `stream` tells that story.
    if (wpp().isReady && stream()) return;
    emit('outdated', { ...versions(), missing: missing() });
  }, PATIENCE_MS);
  whenFullReady(() => {
    clearTimeout(patience);
    emit('ready', versions());
  });
}

function missing(): string[] {
  const finders = NEEDED.filter((name) => wpp().whatsapp[name] === undefined).map((name) => `WPP.whatsapp.${name}`);
  return [...missingModules(registeredModules()), ...finders];
}

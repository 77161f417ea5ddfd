// `ready` once wa-js is ready altogether, or `outdated` when WhatsApp's modules are not those that wa-js knows.
import type { Versions } from '../contract';
import type { Emit } from '../event-log';
import { missingModules, registeredModules } from '../modules';
import { stream } from '../serialize/stream';
import { whenFullReady, wpp } from '../wa-js';

/** What of WhatsApp the bridge needs through wa-js's finders; a finder that finds nothing gives undefined. */
const NEEDED = ['Conn', 'Socket', 'Stream', 'Cmd', 'ChatStore', 'MsgStore', 'ContactStore', 'WidFactory', 'MsgKey'];

export function versions(): Versions {
  return { waJs: wpp().version, whatsappWeb: window.Debug?.VERSION ?? null };
}

export function onReady(emit: Emit, patienceMs: number): void {
  const outdated = (): void => emit('outdated', { ...versions(), missing: missing() });
  const patience = setTimeout(() => {
    // wa-js calls itself fully ready only on a QR code or when logged in. A page that loads without a network, or is
    // refused by WhatsApp (CONFLICT, DEPRECATED_VERSION, …), has all its modules: `stream` tells that story.
    if (wpp().isReady && stream() && unfound().length === 0) return;
    outdated();
  }, patienceMs);
  whenFullReady(() => {
    clearTimeout(patience);
    // wa-js gets ready without some of what the bridge listens to, which would be a session that hears nothing. What it
    // did find counts, under whatever id WhatsApp keeps it.
    if (unfound().length === 0) emit('ready', versions());
    else outdated();
  });
}

function unfound(): string[] {
  return NEEDED.filter((name) => wpp().whatsapp[name] === undefined).map((name) => `WPP.whatsapp.${name}`);
}

function missing(): string[] {
  return [...missingModules(registeredModules()), ...unfound()];
}

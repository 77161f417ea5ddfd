// What the session pod says to this page before it injects the bridge. It is read once: a page life has one of each.
import type { Options } from './contract';

/** wa-js needs 1 to 2 s when the modules are there; it has given up by itself after 20 s. */
const PATIENCE_MS = 60_000;

export function options(): Options {
  return { life: 0, patienceMs: PATIENCE_MS, ...window.sessionBridgeOptions };
}

// The way to wa-js. Everything else in the bridge asks here, so that "wa-js is not there" is one error.
import { Failure } from './failure';

export function wpp(): WPP.Api {
  if (!window.WPP) throw new Failure('not_ready', 'wa-js is not in this page');
  return window.WPP;
}

/** Runs `listener` once wa-js has found WhatsApp's modules and has registered its own listeners. */
export function whenReady(listener: () => void): void {
  if (wpp().isReady) listener();
  else wpp().on('loader.ready', listener);
}

/** Runs `listener` once wa-js is ready altogether: on the QR page or logged in. */
export function whenFullReady(listener: () => void): void {
  if (wpp().isFullReady) listener();
  else wpp().on('loader.full_ready', listener);
}

// All events, each in its own file. Registered as soon as the bridge is in the page, before wa-js is ready, so that
// nothing wa-js says is missed.
import type { Emit } from '../event-log';
import { onAck } from './ack';
import { onBackend } from './backend';
import { onChat } from './chat';
import { onLogout } from './logout';
import { onMessage } from './message';
import { onPairingCode } from './pairing-code';
import { onPairingCodeError } from './pairing-code-error';
import { onPairingCodeExpired } from './pairing-code-expired';
import { onQr } from './qr';
import { onQrIdle } from './qr-idle';
import { onReady } from './ready';
import { onStream } from './stream';

export function registerEvents(emit: Emit, patienceMs: number): void {
  onReady(emit, patienceMs);
  onStream(emit);
  onQr(emit);
  onQrIdle(emit);
  onPairingCode(emit);
  onPairingCodeExpired(emit);
  onPairingCodeError(emit);
  onMessage(emit);
  onAck(emit);
  onChat(emit);
  onLogout(emit);
  onBackend(emit);
}

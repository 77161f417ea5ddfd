// The newest message in WhatsApp's own store, whatever wa-js said of it: the measure of whether its events still come.
import type { Known } from '../contract';
import { messageId } from '../ids';
import { wpp } from '../wa-js';
import { isMessage } from './message';

export function newest(): Known | null {
  let found: WPP.Msg | undefined;
  for (const msg of wpp().whatsapp.MsgStore.getModelsArray()) {
    if ((msg.t ?? 0) >= (found?.t ?? 0) && isMessage(msg)) found = msg;
  }
  return found ? { id: messageId(found.id), timestamp: found.t ?? 0 } : null;
}

// New messages, incoming and own, each once in a page's life.
import type { Emit } from '../event-log';
import { RecentSet } from '../remember';
import { isMessage, message } from '../serialize/message';
import { whenReady, wpp } from '../wa-js';

/** More than WhatsApp delivers at once after a long absence. */
const REMEMBERED = 20_000;

export function onMessage(emit: Emit): void {
  const told = new RecentSet(REMEMBERED);
  const tell = (msg: WPP.Msg): void => {
    if (isMessage(msg) && told.add(String(msg.id))) emit('message', { message: message(msg) });
  };

  // wa-js speaks twice of a message that arrives before its key: as `ciphertext`, which is none of ours to tell, and
  // again when it can be read. Own messages come this way too and are told apart by fromMe.
  wpp().on('chat.new_message', tell);

  // WhatsApp delivers what arrived while nobody was connected as soon as it is logged in, and that is before wa-js can
  // be here (it is injected late). Those messages are in the store, marked as new, and no event will ever name them.
  whenReady(() => {
    const early = wpp().whatsapp.MsgStore.getModelsArray().filter((msg) => msg.isNewMsg);
    for (const msg of early.sort((a, b) => (a.t ?? 0) - (b.t ?? 0))) {
      if (msg.type === 'ciphertext') msg.once('change:type', () => tell(msg));
      else tell(msg);
    }
  });
}

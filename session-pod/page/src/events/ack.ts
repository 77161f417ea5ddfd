// How far own messages have come: sent, delivered, read, failed.
import type { Emit } from '../event-log';
import { inMemory } from '../find';
import { isConversation, isGroup, messageId } from '../ids';
import { whenReady, wpp } from '../wa-js';

/** From here on an ack is a receipt of the other side. */
const DELIVERED = 2;

export function onAck(emit: Emit): void {
  const tell = (key: WPP.MsgKey, ack: number): void => {
    const chat = String(key.remote);
    if (key.fromMe && isConversation(chat)) emit('ack', { id: messageId(key), chat, ack });
  };

  // The model is the truth where there is one. It also says what wa-js does not: that a message failed (below 0), and
  // that all members of a group have a message, where receipts speak of one member each.
  whenReady(() => {
    wpp().whatsapp.MsgStore.on('change:ack', (msg) => tell(msg.id, msg.ack ?? 0));
  });

  // Messages sent before this page's life are not in memory; only the receipt tells of them. wa-js makes their keys
  // itself, in a group with the reader as the author: such a key names no message.
  wpp().on('chat.msg_ack_change', ({ ack, ids }) => {
    if (ack < DELIVERED) return;
    for (const key of ids) {
      if (!isGroup(String(key.remote)) && !inMemory(String(key))) tell(key, ack);
    }
  });
}

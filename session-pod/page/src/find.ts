// Finding one message in WhatsApp's store, under every id that it may have there.
import type { MessageId } from './contract';
import { codeOf } from './failure';
import { counterpart, isGroup, ownId, ownLid, parseMessageId } from './ids';
import { wpp } from './wa-js';

/**
 * The ids under which WhatsApp may keep this message, the given one first: own group messages with our address behind
 * the key, and 1:1 messages under the person's other address (chats move from phone number to lid).
 */
export function possibleIds(id: MessageId): MessageId[] {
  const { fromMe, chat, key, author } = parseMessageId(id);
  if (isGroup(chat)) {
    const own = fromMe && !author ? [ownLid(), ownId()] : [];
    return [id, ...own.filter((address) => address !== null).map((address) => `${id}_${address}`)];
  }
  const other = counterpart(wpp().whatsapp.WidFactory.createWid(chat));
  return other ? [id, `${fromMe}_${String(other)}_${key}`] : [id];
}

/** The message if the page has it in memory. */
export function inMemory(id: MessageId): WPP.Msg | undefined {
  for (const possible of possibleIds(id)) {
    const msg = wpp().whatsapp.MsgStore.get(possible);
    if (msg) return msg;
  }
  return undefined;
}

/**
 * An own message to one person by its key alone, which its sender chose at random: WhatsApp may have it under an address
 * that this device cannot yet connect with the one that was asked for.
 */
function ownByKey(id: MessageId): WPP.Msg | undefined {
  const { fromMe, chat, key } = parseMessageId(id);
  if (!fromMe || isGroup(chat)) return undefined;
  return wpp().whatsapp.MsgStore.getModelsArray().find((msg) => msg.id.fromMe && msg.id.id === key && !isGroup(String(msg.id.remote)));
}

/** The message from memory or the device's database. */
export async function findMessage(id: MessageId): Promise<WPP.Msg | undefined> {
  const msg = inMemory(id) ?? ownByKey(id);
  if (msg) return msg;
  for (const possible of possibleIds(id)) {
    try {
      return await wpp().chat.getMessageById(possible);
    } catch (error) {
      // Only these two say that it is not there. Any other error taken for "absent" would send a message twice.
      if (!['msg_not_found', 'chat_not_found'].includes(codeOf(error) ?? '')) throw error;
    }
  }
  return undefined;
}

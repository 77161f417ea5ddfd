// Sends a text once, under the id that the caller chose.
import type { Calls } from '../contract';
import { requireLoggedIn, requireOnline } from '../connected';
import { Failure } from '../failure';
import { findMessage } from '../find';
import { checkChatId, counterpart, isGroup, messageId, ownLid, parseMessageId } from '../ids';
import { wpp } from '../wa-js';
import { lookUp } from './query-exists';

type Sent = Calls['sendText']['ok'];

/** Sends under way. A caller that gave up waiting and asks again gets the first one's answer. */
const underWay = new Map<string, Promise<Sent>>();

export function sendText({ id, chat, text }: Calls['sendText']['args']): Promise<Sent> {
  const asked = parseMessageId(id);
  if (!asked.fromMe || asked.chat !== checkChatId(chat)) {
    throw new Failure('invalid_id', `not an id of an own message in ${chat}: ${id}`);
  }
  if (typeof text !== 'string' || text === '') throw new Failure('internal', 'a text message needs a text');
  requireLoggedIn();

  const running = underWay.get(id);
  if (running) return running;
  const sending = sendOnce(id, asked.key, chat, text).finally(() => underWay.delete(id));
  underWay.set(id, sending);
  return sending;
}

async function sendOnce(id: string, key: string, chat: string, text: string): Promise<Sent> {
  // wa-js sends as often as it is called, whatever the id.
  const existing = await findMessage(id);
  if (existing) return { id: messageId(existing.id), ack: existing.ack ?? 0 };

  requireOnline();
  const target = await resolve(chat);
  if (target !== chat) {
    // An earlier try may have gone to an address that this device had not yet learned when it was looked for above.
    const earlier = await findMessage(`true_${target}_${key}`);
    if (earlier) return { id: messageId(earlier.id), ack: earlier.ack ?? 0 };
  }
  const result = await wpp().chat.sendTextMessage(target, text, {
    messageId: idIn(target, key),
    // The defaults: mark the chat as read, fetch a preview of every URL from third parties, look for @mentions, and
    // wait for the server without end.
    markIsRead: false,
    linkPreview: false,
    detectMentioned: false,
    waitForAck: false,
  });
  // A send that WhatsApp refused resolves like one that went well.
  const outcome = result.sendMsgResult?.messageSendResult ?? 'OK';
  const ack = result.ack ?? 0;
  if (ack < 0 || outcome !== 'OK') throw new Failure('send_failed', `WhatsApp refused the message: ${outcome}, ack ${ack}`);
  return { id: `true_${target}_${key}`, ack };
}

/**
 * The chat that WhatsApp will use. It may be another address of the same person, and wa-js refuses an id whose chat is
 * not that one. Nobody is written to before the server has said that they exist: WhatsApp creates a chat for any number.
 */
async function resolve(chat: string): Promise<string> {
  const { WidFactory } = wpp().whatsapp;
  const other = isGroup(chat) ? undefined : counterpart(WidFactory.createWid(chat));
  const known = wpp().chat.get(chat) ?? (other && wpp().chat.get(String(other)));
  if (known) return String((await wpp().chat.find(String(known.id))).id);
  if (isGroup(chat)) throw new Failure('not_found', `not a member of this group: ${chat}`);
  const person = await lookUp(chat);
  if (!person) throw new Failure('not_on_whatsapp', `not on WhatsApp: ${chat}`);
  return String((await wpp().chat.find(String(person))).id);
}

/** The id as WhatsApp writes it: in groups with our own address behind it. */
function idIn(chat: string, key: string): string {
  const author = isGroup(chat) ? ownLid() : null;
  return author ? `true_${chat}_${key}_${author}` : `true_${chat}_${key}`;
}

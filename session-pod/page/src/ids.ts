// Reading and writing WhatsApp's ids. The only place that takes an id apart.
// Keys are read through String(key): WhatsApp keeps the text in a minified property, so keys made before wa-js patched
// the class have no `_serialized`, and an id read from there would be `undefined` in early events.
import type { ChatId, MessageId } from './contract';
import { Failure } from './failure';
import { wpp } from './wa-js';

export interface ParsedMessageId {
  fromMe: boolean;
  chat: ChatId;
  key: string;
  author: string | null;
}

const CHAT = /^(?:\d{1,32}@(?:c\.us|lid)|\d[\d-]{0,63}@g\.us)$/;
const MESSAGE = /^(true|false)_([^_]+)_([0-9A-Za-z.-]{1,64})(?:_([^_]+))?$/;
/** WhatsApp's own announcements. */
const WHATSAPP_ITSELF = '0@c.us';

/** Whether this is a chat with people: not a status list, broadcast, channel or announcement. */
export function isConversation(chat: ChatId): boolean {
  return CHAT.test(chat) && chat !== WHATSAPP_ITSELF;
}

export function isGroup(chat: ChatId): boolean {
  return chat.endsWith('@g.us');
}

export function checkChatId(chat: unknown): ChatId {
  if (typeof chat === 'string' && isConversation(chat)) return chat;
  throw new Failure('invalid_id', `not a chat id: ${String(chat)}`);
}

export function parseMessageId(id: unknown): ParsedMessageId {
  const [, fromMe, chat, key, author] = (typeof id === 'string' && MESSAGE.exec(id)) || [];
  if (!fromMe || !chat || !key || !isConversation(chat)) {
    throw new Failure('invalid_id', `not a message id: ${String(id)}`);
  }
  return { fromMe: fromMe === 'true', chat, key, author: author ?? null };
}

/** The id of a message as the contract writes it: without the author for own messages. */
export function messageId(key: WPP.MsgKey): MessageId {
  const id = String(key);
  // Inside WhatsApp an own group message carries our own lid behind its key; the sender who chose the id does not know it.
  return key.fromMe && key.participant ? `true_${String(key.remote)}_${key.id}` : id;
}

/** The other address of the same person, from what this device has learned; never asks the server. */
export function counterpart(chat: WPP.Wid): WPP.Wid | undefined {
  const known = wpp().whatsapp.lidPnCache;
  return chat.isLid() ? known?.getPhoneNumber(chat) : known?.getCurrentLid(chat);
}

/** Own address as a group message carries it, or null before the first login. */
export function ownLid(): string | null {
  try {
    return String(wpp().conn.getMyUserLid());
  } catch {
    // Throws rather than answering when there is none.
    return null;
  }
}

/** Own phone-number address, or null while no phone is linked. */
export function ownId(): string | null {
  const id = wpp().conn.getMyUserId();
  return id ? String(id) : null;
}

// A message, field by field. Never JSON.stringify a model: it drags in whole chats and minified names, differs from
// one version of WhatsApp to the next, and fails on cycles.
import type { Message } from '../contract';
import { isConversation, messageId } from '../ids';

/** What WhatsApp stores beside messages of people: encryption notices, group events, revocations, … */
const TECHNICAL = new Set([
  'ciphertext',
  'debug',
  'e2e_notification',
  'gp2',
  'newsletter_notification',
  'notification',
  'notification_template',
  'pin_message',
  'protocol',
  'reaction',
]);

/** Whether a person would see this as a message of a conversation. */
export function isMessage(msg: WPP.Msg): boolean {
  return isConversation(String(msg.id.remote)) && !TECHNICAL.has(msg.type ?? '');
}

export function message(msg: WPP.Msg): Message {
  return {
    id: messageId(msg.id),
    // Not msg.from, msg.to or msg.chat: which of them is the chat depends on direction and event (for an incoming edit
    // wa-js names our own id). The key's remote is the chat in every case.
    chat: String(msg.id.remote),
    from: String(msg.from ?? msg.id.remote),
    author: msg.author ? String(msg.author) : null,
    fromMe: msg.id.fromMe,
    type: msg.type ?? 'unknown',
    text: text(msg),
    timestamp: msg.t ?? 0,
    ack: msg.ack ?? 0,
    pushName: msg.notifyName || null,
    quotedId: quotedId(msg),
  };
}

/** Only a chat message has its text in `body`; a medium has its thumbnail there, which is not for reading. */
function text(msg: WPP.Msg): string | null {
  return (msg.type === 'chat' ? msg.body : msg.caption) ?? null;
}

function quotedId(msg: WPP.Msg): string | null {
  if (!msg.quotedStanzaID) return null;
  try {
    return msg.quotedMsgId ? messageId(msg.quotedMsgId) : null;
  } catch {
    // The getter throws for quotes whose author cannot be told; the message matters more than what it answers.
    return null;
  }
}

// A chat's messages from this device's store, oldest first, paged backwards with `before`.
import type { Calls } from '../contract';
import { requireLoggedIn } from '../connected';
import { Failure } from '../failure';
import { findMessage } from '../find';
import { checkChatId } from '../ids';
import { checkLimit } from '../limit';
import { isMessage, message } from '../serialize/message';
import { wpp } from '../wa-js';

export async function messages({ chat, limit, before }: Calls['messages']['args']): Promise<Calls['messages']['ok']> {
  const most = checkLimit(limit);
  requireLoggedIn();
  if (!wpp().chat.get(checkChatId(chat))) throw new Failure('not_found', `no such chat: ${chat}`);
  const found = await wpp().chat.getMessages(chat, await range(most, before));
  const messages = found.filter(isMessage).map(message);
  messages.sort((a, b) => a.timestamp - b.timestamp);
  return { messages: messages.slice(-most) };
}

async function range(limit: number, before: string | null) {
  // wa-js takes the newest message besides and asks for one less, so that 1 would ask WhatsApp for 0.
  if (!before) return { count: limit + 1 };
  const anchor = await findMessage(before);
  // WhatsApp answers an unknown anchor with an empty page, which would pass for the beginning of the chat.
  if (!anchor) throw new Failure('not_found', `no such message: ${before}`);
  return { count: limit, direction: 'before' as const, id: String(anchor.id) };
}

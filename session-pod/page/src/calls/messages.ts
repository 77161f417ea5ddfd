// A chat's messages from this device's store, oldest first, paged backwards with `before`.
import type { Calls } from '../contract';
import { requireLoggedIn } from '../connected';
import { Failure } from '../failure';
import { findMessage } from '../find';
import { checkChatId } from '../ids';
import { checkLimit } from '../limit';
import { isMessage, message } from '../serialize/message';
import { wpp } from '../wa-js';

/** Pages in a row that may hold nothing of people. */
const EMPTY_PAGES = 20;

export async function messages({ chat, limit, before }: Calls['messages']['args']): Promise<Calls['messages']['ok']> {
  const most = checkLimit(limit);
  requireLoggedIn();
  if (!wpp().chat.get(checkChatId(chat))) throw new Failure('not_found', `no such chat: ${chat}`);
  let asked = await range(most, before);
  for (let page = 0; page < EMPTY_PAGES; page += 1) {
    const found = await wpp().chat.getMessages(chat, asked);
    // Counted with what is left out: a page full of notices is not the beginning of the chat.
    const more = found.length >= asked.count;
    const messages = found.filter(isMessage).map(message);
    messages.sort((a, b) => a.timestamp - b.timestamp);
    if (messages.length > 0 || !more) return { messages: messages.slice(-most), more };
    const oldest = found.reduce((one, other) => ((other.t ?? 0) < (one.t ?? 0) ? other : one));
    asked = { count: most, direction: 'before', id: String(oldest.id) };
  }
  throw new Failure('timeout', `nothing but notices in ${EMPTY_PAGES} pages of ${chat}`);
}

interface Range {
  count: number;
  direction?: 'before';
  id?: string;
}

async function range(limit: number, before: string | null): Promise<Range> {
  // wa-js takes the newest message besides and asks for one less, so that 1 would ask WhatsApp for 0.
  if (!before) return { count: limit + 1 };
  const anchor = await findMessage(before);
  // WhatsApp answers an unknown anchor with an empty page, which would pass for the beginning of the chat.
  if (!anchor) throw new Failure('not_found', `no such message: ${before}`);
  return { count: limit, direction: 'before', id: String(anchor.id) };
}

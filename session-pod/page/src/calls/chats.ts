// The newest conversations; groups only when asked for.
import type { Calls } from '../contract';
import { requireLoggedIn } from '../connected';
import { isConversation, isGroup } from '../ids';
import { checkLimit } from '../limit';
import { chat } from '../serialize/chat';
import { wpp } from '../wa-js';

export async function chats({ limit, groups }: Calls['chats']['args']): Promise<Calls['chats']['ok']> {
  const most = checkLimit(limit);
  requireLoggedIn();
  // Without this option wa-js asks the server about every group, one after the other.
  const models = await wpp().chat.list({ ignoreGroupMetadata: true });
  const wanted = models.filter(({ id }) => isConversation(String(id)) && (groups || !isGroup(String(id))));
  // WhatsApp's own order has pinned chats first.
  wanted.sort((a, b) => (b.t ?? 0) - (a.t ?? 0));
  return { chats: wanted.slice(0, most).map(chat) };
}

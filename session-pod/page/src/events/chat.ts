// A chat appeared, or its unread count or name changed.
import type { Emit } from '../event-log';
import { isConversation } from '../ids';
import { chat } from '../serialize/chat';
import { whenReady, wpp } from '../wa-js';

/** One event for changes that come together, such as the count and the name of a first message. */
const TOGETHER_MS = 30;

export function onChat(emit: Emit): void {
  const waiting = new Set<WPP.Chat>();
  const later = (model: WPP.Chat): void => {
    if (waiting.has(model) || !isConversation(String(model.id))) return;
    waiting.add(model);
    setTimeout(() => {
      waiting.delete(model);
      emit('chat', { chat: chat(model) });
    }, TOGETHER_MS);
  };

  wpp().on('chat.new_chat', later);

  // From the models, each with a delay of its own: wa-js's `chat.unread_count_changed` has one delay for all chats and
  // forgets the first when a second one changes within it.
  whenReady(() => {
    const { ChatStore } = wpp().whatsapp;
    ChatStore.on('change:unreadCount', later);
    ChatStore.on('change:name', later);
  });
}

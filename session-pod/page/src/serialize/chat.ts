// A chat, field by field, from the live model.
import type { Chat } from '../contract';
import { counterpart } from '../ids';

export function chat(model: WPP.Chat): Chat {
  const id = String(model.id);
  const isGroup = model.id.isGroup();
  const [phone, lid] = isGroup ? [null, null] : addresses(model.id);
  return {
    id,
    name: name(model),
    isGroup,
    unread: model.unreadCount ?? 0,
    timestamp: model.t ?? null,
    phone,
    lid,
  };
}

/** The name a person gave or chose; null rather than a formatted number, which would pass for a name. */
function name(model: WPP.Chat): string | null {
  const { contact, groupMetadata } = model;
  return model.name || groupMetadata?.subject || contact?.name || contact?.verifiedName || contact?.pushname || null;
}

/** Phone digits and lid. The digits of a lid look like a phone number and are none: only the mapping tells. */
function addresses(id: WPP.Wid): [phone: string | null, lid: string | null] {
  const other = counterpart(id);
  const [phone, lid] = id.isLid() ? [other, id] : [id, other];
  return [phone?.user ?? null, lid ? String(lid) : null];
}

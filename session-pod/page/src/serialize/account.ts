// The linked account. Null fields where WhatsApp does not know; nothing is guessed from the digits of an id.
import type { Account } from '../contract';
import { ownId, ownLid } from '../ids';
import { wpp } from '../wa-js';

export function account(): Account | null {
  const id = ownId();
  if (!id) return null;
  return { id, lid: ownLid(), pushName: wpp().whatsapp.Conn?.pushname || null };
}

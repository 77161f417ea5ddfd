// Whether WhatsApp has this message, asked before a send is repeated.
import type { Calls } from '../contract';
import { requireLoggedIn } from '../connected';
import { findMessage } from '../find';
import { messageId } from '../ids';

export async function hasMessage({ id }: Calls['hasMessage']['args']): Promise<Calls['hasMessage']['ok']> {
  requireLoggedIn();
  const msg = await findMessage(id);
  return msg ? { exists: true, ack: msg.ack ?? 0, id: messageId(msg.id) } : { exists: false, ack: null, id: null };
}

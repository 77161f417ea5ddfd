// Whether a person is on WhatsApp, and under which id: the answer may differ from the question (Brazil's ninth digit).
import type { Calls } from '../contract';
import { requireOnline } from '../connected';
import { Failure } from '../failure';
import { checkChatId, isGroup } from '../ids';
import { wpp } from '../wa-js';

export async function queryExists({ id }: Calls['queryExists']['args']): Promise<Calls['queryExists']['ok']> {
  const found = await lookUp(checkChatId(id));
  return { exists: found !== null, id: found && String(found) };
}

/** The address under which the person is known, or null. Fails with `not_ready` while the server cannot be asked. */
export async function lookUp(id: string): Promise<WPP.Wid | null> {
  if (isGroup(id)) throw new Failure('invalid_id', `a group is not a person: ${id}`);
  requireOnline();
  const { contact } = wpp();
  const found = await (contact.queryWidExists ?? contact.queryExists)?.(id);
  // wa-js answers null for every error too: a connection that broke meanwhile is not a number that does not exist.
  if (!found) requireOnline();
  return found?.wid ?? null;
}

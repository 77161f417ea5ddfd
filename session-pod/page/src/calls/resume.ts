// The events a session pod has missed.
import type { Calls } from '../contract';
import type { EventLog } from '../event-log';
import { Failure } from '../failure';

export function resume(log: EventLog) {
  return ({ after }: Calls['resume']['args']): Calls['resume']['ok'] => {
    if (!Number.isInteger(after) || after < 0) throw new Failure('internal', `not an event number: ${String(after)}`);
    return { events: log.after(after) };
  };
}

// The size of a page of chats or messages.
import { Failure } from './failure';

const MOST = 1000;

export function checkLimit(limit: unknown): number {
  if (typeof limit === 'number' && Number.isInteger(limit) && limit >= 1 && limit <= MOST) return limit;
  throw new Failure('internal', `limit is not a number from 1 to ${MOST}: ${String(limit)}`);
}

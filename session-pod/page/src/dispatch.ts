// Turns one call of the session pod into one JSON answer: arguments parsed, a deadline set, every failure in words.
import type { CallTable } from './calls';
import type { Answer, Method } from './contract';
import { asFailure, Failure } from './failure';

/** The promise never rejects: a rejected one would reach the session pod as a JavaScript stack, without a code. */
export async function dispatch(table: CallTable, method: string, argsJson: string): Promise<string> {
  const answer = await attempt(table, method, argsJson);
  return JSON.stringify(answer);
}

async function attempt(table: CallTable, method: string, argsJson: string): Promise<Answer<Method>> {
  try {
    if (!Object.hasOwn(table, method)) throw new Failure('internal', `no such call: ${method}`);
    const call: { deadline: number; run(args: never): unknown } = table[method as Method];
    const args: unknown = JSON.parse(argsJson || '{}');
    if (typeof args !== 'object' || args === null) throw new Failure('internal', 'arguments are not an object');
    const ok = await within(call.deadline, method, async () => call.run(args as never));
    return { ok } as Answer<Method>;
  } catch (thrown) {
    const { code, message } = asFailure(thrown);
    return { error: { code, message } };
  }
}

/** `work`, or `timeout`. The work itself cannot be stopped; `hasMessage` tells later what came of a send. */
function within<T>(deadline: number, method: string, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure('timeout', `${method}: no answer in ${deadline} ms`)), deadline);
    void work()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

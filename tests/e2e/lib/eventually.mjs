// Waiting. Every wait has an end, and says what it saw last when that comes. Never a sleep for its own sake.
import { inspect } from 'node:util';

/** How often a wait looks. The API server and Redis are on this machine; what we wait for takes seconds. */
const PACE_MS = 200;

/**
 * What `look` gives, as soon as `good` likes it. An error of `look` counts as not yet: a server that restarts is one of
 * the things that are waited for.
 */
export async function eventually(what, seconds, look, good = Boolean) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    let seen;
    try {
      seen = await look();
      if (good(seen)) return seen;
    } catch (error) {
      seen = error;
    }
    if (performance.now() > end) {
      throw new Error(`${what}: not within ${seconds} s. Seen last: ${shown(seen)}`);
    }
    await new Promise((resume) => setTimeout(resume, PACE_MS));
  }
}

/** Holds `look` to `good` for so long: for what must not happen, where there is nothing to wait for. */
export async function throughout(what, seconds, look, good) {
  const end = performance.now() + seconds * 1000;
  do {
    const seen = await look();
    if (!good(seen)) throw new Error(`${what}: seen was ${shown(seen)}`);
    await new Promise((resume) => setTimeout(resume, PACE_MS));
  } while (performance.now() < end);
}

export function shown(seen) {
  return seen instanceof Error ? seen.message : inspect(seen, { depth: 6, breakLength: 120 });
}

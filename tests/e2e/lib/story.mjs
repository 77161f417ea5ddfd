// A story is tests in a fixed order, each standing on the one before. When one fails, the rest say so and do not wait.
import { test } from 'node:test';

/** Longest chapter: a pod with a grace of 45 s goes, and its successor comes. */
const LONGEST_MS = 180_000;

/** A function that adds a chapter; `whole()` tells whether all went well so far. */
export function story() {
  let broken;
  const chapter = (name, tell) =>
    test(name, { timeout: LONGEST_MS }, async (t) => {
      if (broken) throw new Error(`not reached, because this failed: ${broken}`);
      try {
        await tell(t);
      } catch (error) {
        broken = name;
        throw error;
      }
    });
  chapter.whole = () => broken === undefined;
  return chapter;
}

// A set that forgets its oldest entries, for "already reported" questions. Bounded, so that a page which lives for
// months does not grow.

export class RecentSet {
  readonly #entries = new Set<string>();

  constructor(private readonly limit: number) {}

  /** Whether `entry` was not in the set, which it is afterwards. */
  add(entry: string): boolean {
    if (this.#entries.has(entry)) return false;
    this.#entries.add(entry);
    if (this.#entries.size > this.limit) {
      const [oldest] = this.#entries;
      if (oldest !== undefined) this.#entries.delete(oldest);
    }
    return true;
  }
}

// Where round robin stands: a place of its own for each group of hosts that is picked from. One place for several would let them skip each other's
// hosts: two groups that take turns would move on by two, and every other host of an even number would get nothing.

export interface Position {
  value: number;
  /** Where hosts have weights: what each is owed, by its label. */
  credits?: { readonly labels: readonly string[]; readonly values: readonly number[] };
}

/** Names come and go with localities and metadata; beyond this, all begin anew. */
const most = 10_000;

export class Positions {
  readonly #byGroup = new Map<string, Position>();

  /** The same for the same group, over all changes of its hosts. */
  of(group: string): Position {
    let position = this.#byGroup.get(group);
    if (position === undefined) {
      if (this.#byGroup.size >= most) this.#byGroup.clear();
      position = { value: 0 };
      this.#byGroup.set(group, position);
    }
    return position;
  }
}

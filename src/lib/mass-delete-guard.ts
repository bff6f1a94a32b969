// Whether to believe that most of what was there is gone. What is read right after an outage may be the empty memory of a server that
// has just started; what vanishes while all goes well has been taken away by somebody.
export interface GuardOptions {
  /** How long the same answer must stand before it is believed. */
  readonly holdMs: number;
  /** More than this share of what was there must be missing … */
  readonly share?: number;
  /** … and at least so many. */
  readonly atLeast?: number;
  /** What came instead makes up for what is missing: addresses are replaced by others, names are not. Default: false. */
  readonly isReplaceable?: boolean;
  readonly now?: () => number;
}

export class MassDeleteGuard {
  readonly #options: Required<GuardOptions>;
  #held: { readonly next: ReadonlySet<string>; readonly since: number } | undefined;

  constructor(options: GuardOptions) {
    this.#options = { share: 0.5, atLeast: 5, isReplaceable: false, now: () => performance.now(), ...options };
  }

  /** The last answer was not believed yet. */
  get isHolding(): boolean {
    return this.#held !== undefined;
  }

  /**
   * Judges an answer: `next` is what it says there is, `before` what was believed until now. `isSuspect`: something went wrong since
   * the answer before. While one is held, all are suspect.
   */
  believes(before: ReadonlySet<string>, next: ReadonlySet<string>, isSuspect: boolean): boolean {
    const { holdMs, share, atLeast, isReplaceable, now } = this.#options;
    let missing = 0;
    if (isSuspect || this.#held) missing = isReplaceable ? before.size - next.size : before.difference(next).size;
    if (missing < atLeast || missing <= before.size * share) {
      this.#held = undefined;
      return true;
    }
    if (this.#held && isSame(this.#held.next, next)) {
      if (now() - this.#held.since < holdMs) return false;
      this.#held = undefined;
      return true;
    }
    this.#held = { next, since: now() };
    return false;
  }
}

function isSame(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && a.isSubsetOf(b);
}

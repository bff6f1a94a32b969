// Who asks AWS the same with the same credentials is answered together: groups those who ask, and runs an account for each group while
// there is somebody in it.
import { Latest } from "../latest.ts";

/** One region as one set of credentials sees it, for those who use it. Begins when it is made. */
export interface Account<U> {
  use(users: readonly U[]): void;
  stop(): void;
}

export interface AccountsOptions<U, K, R> {
  /** Those with the same key are answered by the same question. */
  readonly keyOf: (user: U) => string;
  /** What it finds, it puts into `found`; `signal` ends it with all others. */
  readonly begin: (users: readonly U[], found: Latest<K, R>, signal: AbortSignal) => Account<U>;
  readonly onFault: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/** Yields what accounts find until the signal aborts. */
export async function* runAccounts<U, K, R>(
  lists: AsyncIterable<readonly U[]>,
  { keyOf, begin, onFault, signal: outer }: AccountsOptions<U, K, R>,
): AsyncGenerator<R> {
  const ended = new AbortController();
  const signal = AbortSignal.any([outer, ended.signal]);
  const found = new Latest<K, R>(signal);
  const accounts = new Map<string, Account<U>>();
  const follow = async () => {
    for await (const list of lists) {
      if (signal.aborted) return;
      const groups = Map.groupBy(list, keyOf);
      for (const [key, account] of accounts) {
        if (groups.has(key)) continue;
        account.stop();
        accounts.delete(key);
      }
      for (const [key, users] of groups) {
        const known = accounts.get(key);
        if (known) known.use(users);
        else accounts.set(key, begin(users, found, signal));
      }
    }
  };
  follow().catch((error: unknown) => {
    if (!signal.aborted) onFault(error);
  });
  try {
    yield* found;
  } finally {
    ended.abort();
  }
}

// How long to wait before asking again.

export interface Backoff {
  readonly firstMs: number;
  readonly mostMs: number;
}

/** At most 3 s, so that an outage is over for us soon after it is over. */
export const usualBackoff: Backoff = { firstMs: 100, mostMs: 3000 };

/** Doubles from failure to failure; half of it by chance, so that many do not come back at once. */
export function backoffMs(failures: number, { firstMs, mostMs }: Backoff = usualBackoff, random: () => number = Math.random): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(failures - 1, 10)) * (0.5 + random() / 2);
}

/** Waits; wakes without an error when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, signal.aborted ? 0 : ms);
    signal.addEventListener("abort", done, { once: true });
  });
}

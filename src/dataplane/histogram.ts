// Times in Envoy's buckets, for Prometheus.

/** Envoy's own, in milliseconds; the last bucket has no end. */
const bounds: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000,
];

export class Histogram {
  readonly #counts = new Array<number>(bounds.length + 1).fill(0);
  #sum = 0;
  #count = 0;

  observe(ms: number): void {
    let at = 0;
    while (at < bounds.length && ms > (bounds[at] as number)) at++;
    (this.#counts[at] as number)++;
    this.#sum += ms;
    this.#count++;
  }

  /** `NAME#0.5`, …, `NAME#+Inf`, `NAME#sum`, `NAME#count`; each bucket has those before it. Nothing while it is empty. */
  writeTo(stats: Record<string, number>, name: string): void {
    if (this.#count === 0) return;
    let before = 0;
    bounds.forEach((bound, at) => {
      before += this.#counts[at] as number;
      stats[`${name}#${bound}`] = before;
    });
    stats[`${name}#+Inf`] = this.#count;
    stats[`${name}#sum`] = this.#sum;
    stats[`${name}#count`] = this.#count;
  }
}

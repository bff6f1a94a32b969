// How many responses had which status, under Envoy's names: `PREFIX_rq_200`, `PREFIX_rq_2xx`, `PREFIX_rq_completed`.

import { Histogram } from "./histogram.ts";

export class ResponseCounts {
  readonly #byStatus = new Map<number, number>();
  readonly time = new Histogram();

  count(status: number): void {
    this.#byStatus.set(status, (this.#byStatus.get(status) ?? 0) + 1);
  }

  get isEmpty(): boolean {
    return this.#byStatus.size === 0;
  }

  /** @param hasCodes Envoy counts each status at clusters only */
  writeTo(stats: Record<string, number>, prefix: string, hasCodes = false): void {
    let completed = 0;
    for (const [status, count] of this.#byStatus) {
      const classOf = `${prefix}_rq_${Math.floor(status / 100)}xx`;
      if (hasCodes) stats[`${prefix}_rq_${status}`] = count;
      stats[classOf] = (stats[classOf] ?? 0) + count;
      completed += count;
    }
    stats[`${prefix}_rq_completed`] = completed;
    this.time.writeTo(stats, `${prefix}_rq_time`);
  }
}

// Counters of a listening socket, under Envoy's names.

import { ResponseCounts } from "../response-counts.ts";

export class ListenerStats {
  readonly #responses = new ResponseCounts();
  /** Counters of HTTP filters: `rbac.allowed`. */
  readonly #ofFilters = new Map<string, number>();
  downstream_cx_total = 0;
  downstream_cx_active = 0;
  downstream_cx_http2_total = 0;
  downstream_rq_total = 0;
  downstream_rq_active = 0;
  downstream_cx_protocol_error = 0;
  downstream_rq_idle_timeout = 0;
  downstream_rq_header_timeout = 0;

  count(name: string): void {
    this.#ofFilters.set(name, (this.#ofFilters.get(name) ?? 0) + 1);
  }

  /** A response is over; 0: there was none. */
  onResponse(status: number, durationMs: number): void {
    if (status === 0) return;
    this.#responses.count(status);
    this.#responses.time.observe(durationMs);
  }

  /** Adds what it has counted. */
  addTo(stats: Record<string, number>, prefix: string): void {
    const own: Record<string, number> = Object.fromEntries(this.#ofFilters);
    for (const [key, value] of Object.entries(this)) if (typeof value === "number") own[key] = value;
    this.#responses.writeTo(own, "downstream");
    for (const [key, value] of Object.entries(own)) stats[`${prefix}.${key}`] = (stats[`${prefix}.${key}`] ?? 0) + value;
  }
}

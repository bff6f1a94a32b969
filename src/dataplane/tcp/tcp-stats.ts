// Counters of the TCP proxies that share a prefix, under Envoy's names: `tcp.<prefix>.downstream_cx_total`.

export class TcpStats {
  downstream_cx_total = 0;
  downstream_cx_no_route = 0;
  downstream_cx_rx_bytes_total = 0;
  downstream_cx_tx_bytes_total = 0;
  downstream_flow_control_paused_reading_total = 0;
  downstream_flow_control_resumed_reading_total = 0;
  idle_timeout = 0;
  max_downstream_connection_duration = 0;
  upstream_flush_active = 0;
  upstream_flush_total = 0;
}

/** Outlive listeners: an edit begins no new count. */
export class AllTcpStats {
  readonly #byPrefix = new Map<string, TcpStats>();

  of(prefix: string): TcpStats {
    let stats = this.#byPrefix.get(prefix);
    if (stats === undefined) {
      stats = new TcpStats();
      this.#byPrefix.set(prefix, stats);
    }
    return stats;
  }

  writeTo(all: Record<string, number>): void {
    for (const [prefix, stats] of this.#byPrefix)
      for (const [name, value] of Object.entries(stats)) all[`tcp.${prefix}.${name}`] = value as number;
  }
}

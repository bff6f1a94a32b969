// Counters of a listening socket, under Envoy's names.

export class ListenerStats {
  downstream_cx_total = 0;
  downstream_cx_active = 0;
  downstream_cx_http2_total = 0;
  downstream_rq_total = 0;
  downstream_rq_active = 0;
  downstream_rq_1xx = 0;
  downstream_rq_2xx = 0;
  downstream_rq_3xx = 0;
  downstream_rq_4xx = 0;
  downstream_rq_5xx = 0;
  downstream_cx_protocol_error = 0;
  downstream_rq_idle_timeout = 0;
  downstream_rq_header_timeout = 0;
}

export function countStatus(stats: ListenerStats, status: number): void {
  if (status >= 500) stats.downstream_rq_5xx++;
  else if (status >= 400) stats.downstream_rq_4xx++;
  else if (status >= 300) stats.downstream_rq_3xx++;
  else if (status >= 200) stats.downstream_rq_2xx++;
  else if (status >= 100) stats.downstream_rq_1xx++;
}

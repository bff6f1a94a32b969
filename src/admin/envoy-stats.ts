// Counters of the embedded data plane as Prometheus text, under the names and labels that Envoy's own /stats/prometheus has, so that
// dashboards and alerts made for Envoy work unchanged.

/** Where a part of Envoy's dotted name becomes a label: `cluster.NAME.upstream_rq_total`. */
const tagged: readonly (readonly [RegExp, string, string])[] = [
  [/^cluster\.(.+)\.([^.]+)$/, "cluster", "envoy_cluster_name"],
  [/^http\.(.+)\.([^.]+)$/, "http", "envoy_http_conn_manager_prefix"],
  [/^listener\.(.+)\.([^.]+)$/, "listener", "envoy_listener_address"],
];

/** What goes up and down; everything else only goes up. */
const gauges = /(_active|_healthy|_total_weight|^envoy_cluster_membership_\w+|_degraded|_excluded)$/;

export function envoyStatsText(stats: Readonly<Record<string, number>>): string {
  const lines = new Map<string, string[]>();
  for (const [name, value] of Object.entries(stats)) {
    const [metric, labels] = prometheusName(name);
    const samples = lines.get(metric) ?? [];
    samples.push(`${metric}${labels} ${value}\n`);
    lines.set(metric, samples);
  }
  return [...lines]
    .map(([metric, samples]) => `# TYPE ${metric} ${gauges.test(metric) ? "gauge" : "counter"}\n${samples.join("")}`)
    .join("");
}

function prometheusName(name: string): readonly [string, string] {
  for (const [pattern, prefix, label] of tagged) {
    const match = pattern.exec(name);
    if (match) return [clean(`envoy_${prefix}_${match[2]}`), `{${label}="${escapeLabel(match[1] as string)}"}`];
  }
  return [clean(`envoy_${name}`), ""];
}

function clean(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, "_");
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

// Counters of the embedded data plane as Prometheus text, under the names and labels that Envoy's own /stats/prometheus has, so that
// dashboards and alerts made for Envoy work unchanged.

/** Groups of a cluster's counters, whose names have a part more. */
const groups = "health_check|outlier_detection";

/** And of a connection manager's. */
const managerGroups = "api_key_auth|tracing";

/** Where a part of Envoy's dotted name becomes a label: `cluster.NAME.upstream_rq_total`. */
const tagged: readonly (readonly [RegExp, string, string])[] = [
  [new RegExp(`^cluster\\.(.+?)\\.((?:(?:${groups})\\.)?[^.]+)$`), "cluster", "envoy_cluster_name"],
  [new RegExp(`^http\\.(.+?)\\.((?:(?:${managerGroups})\\.)?[^.]+)$`), "http", "envoy_http_conn_manager_prefix"],
  [/^tcp\.(.+)\.([^.]+)$/, "tcp", "envoy_tcp_prefix"],
  [/^listener\.(.+)\.([^.]+)$/, "listener", "envoy_listener_address"],
];

/** What goes up and down; everything else only goes up. */
const gauges =
  /(_active|_healthy|_total_weight|^envoy_cluster_membership_\w+|_degraded|_excluded|^envoy_server_(?:live|uptime|total_connections))$/;

interface Sample {
  readonly metric: string;
  readonly suffix: string;
  readonly labels: readonly string[];
}

export function envoyStatsText(stats: Readonly<Record<string, number>>): string {
  const families = new Map<string, { readonly isHistogram: boolean; readonly lines: string[] }>();
  for (const [name, value] of Object.entries(stats)) {
    const { metric, suffix, labels } = sampleOf(name);
    let family = families.get(metric);
    if (family === undefined) {
      family = { isHistogram: suffix !== "", lines: [] };
      families.set(metric, family);
    }
    family.lines.push(`${metric}${suffix}${labels.length === 0 ? "" : `{${labels.join()}}`} ${value}\n`);
  }
  return [...families]
    .map(([metric, { isHistogram, lines }]) => `# TYPE ${metric} ${typeOf(metric, isHistogram)}\n${lines.join("")}`)
    .join("");
}

function typeOf(metric: string, isHistogram: boolean): string {
  if (isHistogram) return "histogram";
  return gauges.test(metric) ? "gauge" : "counter";
}

function sampleOf(name: string): Sample {
  // `cluster.NAME.upstream_rq_time#0.5`: a bucket of a histogram, or its sum or count.
  const mark = name.lastIndexOf("#");
  const isPart = mark > 0 && /^(?:[\d.]+|\+Inf|sum|count)$/.test(name.slice(mark + 1));
  const part = isPart ? name.slice(mark + 1) : "";
  const [metric, labels] = named(isPart ? name.slice(0, mark) : name);
  if (!isPart) return { metric, suffix: "", labels };
  if (part === "sum" || part === "count") return { metric, suffix: `_${part}`, labels };
  return { metric, suffix: "_bucket", labels: [...labels, `le="${part}"`] };
}

/** `http.NAME.rbac.PREFIX.policy.POLICY.allowed`, where prefix and policy may be absent. */
const rbac = /^http\.(.+?)\.rbac\.(?:(?!policy\.)(.+?)\.)?(?:policy\.(.+)\.)?((?:shadow_)?(?:allowed|denied))$/;

function ofRbac([, manager = "", prefix, policy, result]: RegExpExecArray): readonly [string, readonly string[]] {
  const labels = { envoy_rbac_policy_name: policy, envoy_rbac_http_prefix: prefix, envoy_http_conn_manager_prefix: manager };
  const set = Object.entries(labels).flatMap(([label, value]) => (value === undefined ? [] : [`${label}="${escapeLabel(value)}"`]));
  return [`envoy_http_rbac_${policy === undefined ? "" : "policy_"}${result}`, set];
}

function named(name: string): readonly [string, readonly string[]] {
  const ofFilter = rbac.exec(name);
  if (ofFilter !== null) return ofRbac(ofFilter);
  for (const [pattern, prefix, label] of tagged) {
    const match = pattern.exec(name);
    if (match === null) continue;
    const [bare, code] = withoutCode(match[2] as string);
    return [clean(`envoy_${prefix}_${bare}`), [...code, `${label}="${escapeLabel(match[1] as string)}"`]];
  }
  return [clean(`envoy_${name}`), []];
}

/** `upstream_rq_200` and `upstream_rq_2xx`: the status is a label. */
function withoutCode(name: string): readonly [string, readonly string[]] {
  const match = /^(.*_rq)_(?:(\d{3})|(\d)xx)$/.exec(name);
  if (match === null) return [name, []];
  const [, base, code, codeClass] = match;
  return code === undefined
    ? [`${base}_xx`, [`envoy_response_code_class="${codeClass}"`]]
    : [base as string, [`envoy_response_code="${code}"`]];
}

function clean(name: string): string {
  return name.replace(/[^a-zA-Z0-9_]/g, "_");
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

// What Prometheus reads. Counts come from batches as they happen; everything that is a state is read off the control plane at
// scrape time, so that a number can never be stale. No label holds a path or anything else without bounds.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "@prometheus-io/client";
import type { Translation } from "../control-plane.ts";
import type { BatchReport } from "../flow/batch-report.ts";
import { withoutEchoes } from "../flow/echoes.ts";
import { packageVersion } from "../lib/package-root.ts";
import { parseResourceKey } from "../model/ref.ts";
import type { State } from "../model/status.ts";
import type { XdsMetrics } from "../xds/metrics.ts";
import type { SourceView } from "./contract.ts";
import { envoyStatsText } from "./envoy-stats.ts";
import { oneView } from "./views.ts";

export interface MetricsOptions {
  current(): Translation;
  isReady(): boolean;
  sources?(): readonly SourceView[];
  /** What the xDS server has counted, where one runs. */
  xds(): XdsMetrics | undefined;
  /** What the embedded data plane has counted, under Envoy's names. */
  traffic(): Readonly<Record<string, number>>;
}

export interface Metrics {
  batch(report: BatchReport): void;
  text(): Promise<string>;
  readonly contentType: string;
}

/** Kinds that Gloo has a status metric for, in its spelling: `validation_gateway_solo_io_virtual_service_config_status`. */
const glooNames: Readonly<Record<string, string>> = {
  Gateway: "gateway",
  RouteTable: "route_table",
  Secret: "secret",
  Upstream: "upstream",
  UpstreamGroup: "upstream_group",
  VirtualService: "virtual_service",
};

const stateValues: Readonly<Record<State, number>> = { Accepted: 0, Warning: 1, Rejected: 2, Pending: 3 };

export function metrics({ current, isReady, sources, xds, traffic }: MetricsOptions): Metrics {
  const registry = new Registry();
  const registers = [registry];
  // One view a scrape: it is computed when asked for, and all gauges of a scrape must agree.
  let now: Translation | undefined;
  const seen = () => {
    now ??= oneView(current());
    return now;
  };
  collectDefaultMetrics({ register: registry });

  gauge("headworks_build_info", "Always 1; the version is a label.", ["version", "node"], (set) =>
    set({ version: packageVersion, node: process.versions.node }, 1),
  );
  gauge("headworks_ready", "1 when all sources have been read and their configuration is served.", [], (set) => set({}, isReady() ? 1 : 0));
  gauge("headworks_source_up", "1 when the source is followed; 0 when it, or part of it, cannot be read.", ["source"], (set) => {
    for (const { name, state } of sources?.() ?? []) set({ source: name }, state === "following" ? 1 : 0);
  });
  gauge("headworks_resources", "Resources read, by kind.", ["kind"], (set) => {
    for (const [kind, count] of countBy(seen().resources.values(), (each) => each.kind)) set({ kind }, count);
  });
  gauge("headworks_findings", "Findings about the configuration, by severity.", ["severity"], (set) => {
    const counts = countBy(withoutEchoes(seen().findings), ({ problem }) => problem.severity);
    for (const severity of ["error", "warning"]) set({ severity }, counts.get(severity) ?? 0);
  });
  gauge(
    "headworks_config_status",
    "State of a resource: 0 Accepted, 1 Warning, 2 Rejected, 3 Pending.",
    ["kind", "namespace", "name"],
    (set) => {
      for (const { kind, namespace, name, state } of statesOf(seen())) set({ kind, namespace, name }, stateValues[state]);
    },
  );
  for (const [kind, word] of Object.entries(glooNames))
    gauge(
      `validation_gateway_solo_io_${word}_config_status`,
      `Gloo's name for the status of a ${kind}: 0 valid, 1 not.`,
      ["namespace", "name"],
      (set) => {
        for (const each of statesOf(seen()))
          if (each.kind === kind) set({ namespace: each.namespace, name: each.name }, each.state === "Rejected" ? 1 : 0);
      },
    );
  gauge("headworks_proxies", "Proxies whose configuration is served.", [], (set) => set({}, seen().proxies.size));
  gauge("headworks_xds_clients", "Envoys connected.", [], (set) => set({}, xds()?.clients ?? 0));

  const batches = new Counter({ name: "headworks_batches_total", help: "Batches of changes put in service.", registers });
  const changes = new Counter({ name: "headworks_changes_total", help: "Resources changed in those batches.", registers });
  const duration = new Histogram({
    name: "headworks_translation_duration_seconds",
    help: "From a batch's first change to its publication.",
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const handedOn = new Counter({
    name: "headworks_published_resources_total",
    help: "Envoy resources handed to the proxies, all of them together.",
    labelNames: ["change"],
    registers,
  });
  xdsCounter("headworks_xds_pushes_total", "xDS responses sent.", "pushes");
  xdsCounter("headworks_xds_sent_resources_total", "Resources in those responses.", "resources");
  xdsCounter("headworks_xds_sent_bytes_total", "Bytes of those responses.", "bytes");
  xdsCounter("headworks_xds_acks_total", "Responses that a client accepted.", "acks");
  xdsCounter("headworks_xds_nacks_total", "Responses that a client refused.", "nacks");

  return {
    batch({ changed, milliseconds, published }) {
      batches.inc();
      changes.inc(changed.length);
      duration.observe(milliseconds / 1000);
      handedOn.inc({ change: "upsert" }, published.upserts);
      handedOn.inc({ change: "removal" }, published.removals);
    },
    async text() {
      now = undefined;
      return `${await registry.metrics()}${envoyStatsText(traffic())}`;
    },
    contentType: registry.contentType,
  };

  function xdsCounter(name: string, help: string, count: keyof XdsMetrics["types"][string]) {
    new Counter({
      name,
      help,
      labelNames: ["type"],
      registers,
      collect() {
        this.reset();
        for (const [typeUrl, counts] of Object.entries(xds()?.types ?? {}))
          this.inc({ type: typeUrl.split(".").at(-1) ?? "" }, counts[count]);
      },
    });
  }

  function gauge(
    name: string,
    help: string,
    labelNames: string[],
    read: (set: (labels: Record<string, string>, value: number) => void) => void,
  ) {
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        read((labels, value) => this.set(labels, value));
      },
    });
  }
}

function* statesOf(translation: Translation) {
  for (const [key, status] of translation.statuses) {
    const { kind, ref } = parseResourceKey(key);
    yield { kind, namespace: ref.namespace, name: ref.name, state: status.state };
  }
}

function countBy<T>(items: Iterable<T>, name: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(name(item), (counts.get(name(item)) ?? 0) + 1);
  return counts;
}

// The admin API of a data plane that runs by itself: whether it is well, what it counts, what it serves. Read only; nothing of the
// configuration but names.
import type { Hono } from "hono";
import { envoyStatsText } from "./envoy-stats.ts";
import { type GuardedOptions, guardedApp } from "./guarded-app.ts";

export interface ProxyAdminOptions extends GuardedOptions {
  /** Counters and gauges under Envoy's names. */
  stats(): Promise<Readonly<Record<string, number>>>;
  /** Further gauges, under our own. */
  gauges(): Readonly<Record<string, number>>;
  listeners(): Promise<readonly unknown[]>;
  workers(): readonly unknown[];
  /** Of the stream to the xDS server. */
  xds(): object;
  /** What is not executed, and what does not work. */
  findings(): readonly { readonly code: string; readonly severity: string; readonly message: string }[];
}

const index = `Headworks, data plane

/livez  /readyz?verbose
/metrics           for Prometheus, as Envoy's /stats/prometheus (which is here, too)
/stats             as Envoy's
/api/v1/xds        the stream: what is in force, what is waited for
/api/v1/listeners  /api/v1/workers  /api/v1/findings
`;

export function proxyApp(options: ProxyAdminOptions): Hono {
  const app = guardedApp(index, options);
  const prometheus = async () => `${gaugesText(options.gauges())}${envoyStatsText(await options.stats())}`;
  for (const path of ["/metrics", "/stats/prometheus"])
    app.get(path, async (context) => context.body(await prometheus(), 200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" }));
  app.get("/stats", async (context) => context.text(plainText(await options.stats())));
  app.get("/api/v1/xds", (context) => context.json(options.xds()));
  app.get("/api/v1/listeners", async (context) => context.json({ listeners: await options.listeners() }));
  app.get("/api/v1/workers", (context) => context.json({ workers: options.workers() }));
  app.get("/api/v1/findings", (context) => context.json({ findings: options.findings() }));
  return app;
}

function gaugesText(gauges: Readonly<Record<string, number>>): string {
  return Object.entries(gauges)
    .map(([name, value]) => `# TYPE ${name} gauge\n${name} ${value}\n`)
    .join("");
}

/** `cluster.web.upstream_rq_total: 7`. Envoy has its histograms elsewhere. */
function plainText(stats: Readonly<Record<string, number>>): string {
  return Object.entries(stats)
    .filter(([name]) => !name.includes("#"))
    .map(([name, value]) => `${name}: ${value}\n`)
    .sort()
    .join("");
}

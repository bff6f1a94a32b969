// The admin API of a data plane that runs by itself: whether it is well, what it counts, what it serves. Read only; nothing of the
// configuration but names.
import { Hono } from "hono";
import { readyz, secureHeaders } from "./app.ts";
import { envoyStatsText } from "./envoy-stats.ts";
import { type GuardOptions, guard } from "./guard.ts";

export interface ProxyAdminOptions extends GuardOptions {
  /** What readiness consists of, by name; ready when all are. */
  readiness(): Readonly<Record<string, boolean>>;
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
  const app = new Hono();
  app.use(secureHeaders);
  app.use(guard(options));
  app.onError((_, context) => context.json({ error: "internal error" }, 500));
  app.notFound((context) => context.json({ error: "there is no such page; / lists them" }, 404));
  app.get("/", (context) => context.text(index));
  app.get("/livez", (context) => context.text("ok\n"));
  app.get("/readyz", (context) => readyz(context, options.readiness()));
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

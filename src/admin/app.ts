// The admin API: what is in service, read only. Everything is computed from the control plane's present view when asked;
// nothing is kept here. Guarded by guard.ts, blanked by redact.ts, typed by contract.ts.

import type { Context, Hono } from "hono";
import { streamSSE } from "hono/streaming";
import type { Translation } from "../control-plane.ts";
import { withoutEchoes } from "../flow/echoes.ts";
import { NoRequest } from "../flow/explain/asked-request.ts";
import type { Provenance } from "../flow/provenance.ts";
import type { ProxyKey } from "../model/envoy-resource.ts";
import { type AdminEvent, type EnvoyKind, envoyKinds, type SourceView, schemaVersion } from "./contract.ts";
import type { EventHub } from "./events.ts";
import { type GuardedOptions, guardedApp } from "./guarded-app.ts";
import type { Metrics } from "./metrics.ts";
import {
  defaultProxy,
  envoyResources,
  findingView,
  oneView,
  proxyViews,
  redactedEnvoyJson,
  resourceView,
  secretsOf,
  statusView,
} from "./views.ts";

export interface AdminOptions extends GuardedOptions {
  /** With the way back to what it was made from, where requests are to be explained. */
  current(): Translation & Partial<Provenance>;
  /** The xDS clients connected. */
  clients(): readonly unknown[];
  sources?(): readonly SourceView[];
  readonly events: EventHub;
  readonly metrics: Metrics;
  /** The log level, to read and to set. */
  readonly logging?: { level: string };
}

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

const index = `Headworks, admin API

/livez  /readyz?verbose  /metrics
/api/v1/resources?kind=Upstream&namespace=gloo-system
/api/v1/statuses
/api/v1/findings
/api/v1/proxies
/api/v1/proxies/KEY/{clusters,endpoints,listeners,routes}
/api/v1/explain?method=GET&url=http://shop.local:8080/&header=name:+value
/api/v1/clients
/api/v1/sources
/api/v1/events   (server-sent events)
/snapshots/{input,edge,proxies,xds}   /logging   (as Gloo has them)
`;

export function adminApp(options: AdminOptions): Hono {
  const { clients, events, metrics } = options;
  const current = () => oneView(options.current());
  const app = guardedApp(index, options);
  app.get("/metrics", async (context) => context.body(await metrics.text(), 200, { "Content-Type": metrics.contentType }));

  app.get("/api/v1/resources", (context) => {
    const { kind, namespace, name } = context.req.query();
    return context.json({ schemaVersion, items: resources(current(), { kind, namespace, name }) });
  });
  app.get("/api/v1/statuses", (context) => {
    const translation = current();
    const secrets = secretsOf(translation);
    const statuses = Object.fromEntries([...translation.statuses].map(([key, status]) => [key, statusView(status, secrets)]));
    return context.json({ schemaVersion, statuses });
  });
  app.get("/api/v1/findings", (context) => {
    const translation = current();
    const secrets = secretsOf(translation);
    return context.json({ schemaVersion, findings: withoutEchoes(translation.findings).map((finding) => findingView(finding, secrets)) });
  });
  app.get("/api/v1/proxies", (context) => context.json({ schemaVersion, proxies: proxyViews(current()) }));
  app.get("/api/v1/proxies/:key/:kind", (context) => {
    const kind = envoyKinds.find((each) => each === context.req.param("kind"));
    const proxy = context.req.param("key") as ProxyKey;
    const translation = current();
    if (kind === undefined) return context.json({ error: `there is ${envoyKinds.join(", ")}` }, 404);
    if (!translation.proxies.has(proxy)) {
      const known = [...translation.proxies.keys()].join(", ");
      return context.json({ error: `there is no proxy ${proxy}; there is ${known || "none yet"}` }, 404);
    }
    return context.json({ schemaVersion, proxy, resources: envoyViews(translation, proxy, kind) });
  });
  app.get("/api/v1/explain", (context) => explained(context, options.current()));
  app.get("/api/v1/clients", (context) => context.json({ schemaVersion, clients: clients() }));
  app.get("/api/v1/sources", (context) => context.json({ schemaVersion, sources: options.sources?.() ?? [] }));
  app.get("/api/v1/events", (context) =>
    streamSSE(context, async (stream) => {
      const send = (event: AdminEvent) => stream.writeSSE({ event: event.kind, data: JSON.stringify(event) });
      const gone = new AbortController();
      stream.onAbort(() => gone.abort());
      await send(presentState(options));
      for await (const event of events.listen(gone.signal)) await send(event);
    }),
  );

  // Gloo's own pages, which `glooctl` and support scripts read.
  app.get("/snapshots/input", (context) => context.json(resources(current(), {})));
  app.get("/snapshots/edge", (context) => context.json(resources(current(), {})));
  app.get("/snapshots/proxies", (context) => context.json(proxyViews(current())));
  app.get("/snapshots/xds", (context) => context.json(xdsSnapshot(current())));
  app.get("/logging", (context) => (options.logging ? context.json({ level: options.logging.level }) : context.notFound()));
  app.put("/logging", (context) => setLevel(context, options.logging));
  return app;
}

async function explained(context: Context, translation: Translation & Partial<Provenance>): Promise<Response> {
  const { modelOf, placeOf } = translation;
  if (modelOf === undefined || placeOf === undefined) return context.notFound();
  const view = Object.assign(oneView(translation), { modelOf, placeOf });
  const { method = "GET", url, proxy = defaultProxy(view) } = context.req.query();
  if (url === undefined) return context.json({ error: "which url? /api/v1/explain?method=GET&url=http://shop.local:8080/" }, 400);
  if (proxy === undefined || !view.proxies.has(proxy as ProxyKey))
    return context.json({ error: `there is no proxy ${proxy ?? "yet"}` }, 404);
  // What it takes is loaded by who asks.
  const { explanationView } = await import("./explain.ts");
  try {
    return context.json(explanationView(view, proxy as ProxyKey, { method, url, headers: context.req.queries("header") ?? [] }));
  } catch (error) {
    if (error instanceof NoRequest) return context.json({ error: error.message }, 400);
    throw error;
  }
}

interface Wanted {
  readonly kind?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

function resources(translation: Translation, { kind, namespace, name }: Wanted) {
  const secrets = secretsOf(translation);
  return [...translation.resources.values()]
    .filter(
      (each) =>
        (kind ?? each.kind) === each.kind &&
        (namespace ?? each.ref.namespace) === each.ref.namespace &&
        (name ?? each.ref.name) === each.ref.name,
    )
    .map((resource) => resourceView(resource, translation.statuses.get(resource.key), secrets));
}

function envoyViews(translation: Translation, proxy: ProxyKey, kind: EnvoyKind) {
  const secrets = secretsOf(translation);
  return envoyResources(translation.proxies.get(proxy) ?? [], kind).map((each) => ({
    name: each.name,
    version: each.version,
    resource: redactedEnvoyJson(each, secrets),
  }));
}

function xdsSnapshot(translation: Translation) {
  return Object.fromEntries(
    [...translation.proxies.keys()].map((proxy) => [
      proxy,
      Object.fromEntries(envoyKinds.map((kind) => [kind, envoyViews(translation, proxy, kind).map((each) => each.resource)])),
    ]),
  );
}

function presentState({ current, readiness }: AdminOptions): AdminEvent {
  const { resources, findings: all } = current();
  const findings = withoutEchoes(all);
  const errors = findings.filter(({ problem }) => problem.severity === "error").length;
  const isReady = Object.values(readiness()).every(Boolean);
  return { kind: "state", isReady, resources: resources.size, errors, warnings: findings.length - errors };
}

async function setLevel(context: Context, logging: { level: string } | undefined): Promise<Response> {
  if (logging === undefined) return context.notFound() as Response;
  const text = Number(context.req.header("content-length") ?? "0") > 1024 ? "" : await context.req.text();
  const level = /^\s*\{\s*"level"\s*:\s*"(\w+)"\s*\}\s*$/.exec(text)?.[1] ?? "";
  if (!logLevels.includes(level)) return context.json({ error: `send {"level": "…"} with one of ${logLevels.join(", ")}` }, 400);
  logging.level = level;
  return context.json({ level });
}

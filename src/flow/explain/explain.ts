// Why a request gets the answer that it gets: a dry run on the embedded data plane, told in the words of the configuration that it came from.
// What routes match and do is the data plane's to say, never said again here.
import { type DryRun, dryRun } from "../../dataplane/dry-run/dry-run.ts";
import { DryResources } from "../../dataplane/dry-run/resources.ts";
import { unicodeText, wireText } from "../../dataplane/text.ts";
import { type EnvoyResource, type ProxyKey, typeUrls } from "../../model/envoy-resource.ts";
import type { Place } from "../../model/problem.ts";
import { parseResourceKey, type ResourceKey } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { Provenance } from "../provenance.ts";
import { answerOf } from "./answer.ts";
import { destinationsOf } from "./destinations.ts";
import { type Explanation, explanationVersion, type Written } from "./explanation.ts";
import { nearHosts, virtualHostOf } from "./host.ts";
import { chainsOf, chooseListener, listenerOf } from "./listener.ts";
import { optionsOf } from "./options.ts";
import { placedRoutes, routesOf } from "./routes.ts";
import { sendingOf } from "./sending.ts";

/** A request as somebody would send it. */
export interface AskedRequest {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Of the URL, with its port. */
  readonly host: string;
  /** Undefined: the usual one of the scheme. */
  readonly port: number | undefined;
  /** With its query. */
  readonly path: string;
  /** A `Host` among them is said instead of the URL's. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** A configuration that was translated, with the way back. */
export interface Translated extends Provenance {
  readonly resources: ReadonlyMap<ResourceKey, Resource>;
  readonly proxies: ReadonlyMap<ProxyKey, readonly EnvoyResource[]>;
}

export interface ExplainOptions {
  /** Which endpoints that travel by EDS are known: those of Services of Kubernetes, or, where it runs, all. None unless given. */
  readonly knowsEndpoints?: "ofServices" | "all";
}

/** Where something is written. */
export type Where = (resource: ResourceKey, path?: string) => Written;

export function explain(translated: Translated, proxy: ProxyKey, asked: AskedRequest, options: ExplainOptions = {}): Explanation {
  const where: Where = (key, path) => writtenAt(translated, key, path);
  const resources = new DryResources(translated.proxies.get(proxy) ?? []);
  const { listener, notes } = chooseListener(resources.listeners, asked);
  const request = { method: asked.method, url: `${asked.scheme}://${asked.host}${asked.path}`, host: hostHeader(asked), path: asked.path };
  const start = { schemaVersion: explanationVersion, request, proxy } as const;
  if (listener === undefined) return { ...start, ...nothing, answer: { by: "nobody", because: "nobody listens there" }, notes };
  const run = dryRun(resources, listener, {
    method: asked.method,
    target: wireText(asked.path),
    authority: wireText(asked.host),
    headers: asked.headers.map(([name, value]) => [name, wireText(value)]),
    isTls: asked.scheme === "https",
    serverName: serverNameOf(asked.host),
    protocols: ["http/1.1"],
  });
  const configuration = run.config && resources.resource(typeUrls.route, run.config.name);
  const modelOf = (host: string) => configuration && translated.modelOf(proxy, configuration, host);
  const model = run.domains?.found && modelOf(run.domains.found.host.name);
  const placed = placedRoutes(run, model);
  const taken = placed.find(({ traced }) => traced.route === run.route);
  const destinations = destinationsOf(resources, run, translated, where, options);
  const { answers, answer } = answerOf(resources, run, destinations);
  const sends = run.outcome.kind === "sent" && answer.by === "upstream" ? sendingOf(asked, run.outcome.request) : undefined;
  const host = virtualHostOf(run, modelOf, where);
  return {
    ...start,
    request: { ...request, ...seenOf(run, request) },
    answers,
    listener: listenerOf(listener, where),
    filterChains: chainsOf(listener, run.chain, translated.resources, where),
    ...(host && { virtualHost: host }),
    near: nearHosts(run, modelOf, where),
    routes: routesOf(placed, model, run.route, where),
    options: model === undefined ? [] : optionsOf(model, taken, run, where),
    filters: run.filters,
    destinations,
    ...(sends && { sends }),
    answer,
    notes: [...notes, ...run.notExecuted.map((message) => `not tried here: ${message}`)],
  };
}

const nothing = {
  answers: false,
  filterChains: [],
  near: [],
  routes: [],
  options: [],
  filters: [],
  destinations: [],
} as const;

/** A place is looked up when it is read: of thousands of routes few are shown. */
function writtenAt({ placeOf }: Translated, key: ResourceKey, path: string | undefined): Written {
  const { kind, ref } = parseResourceKey(key);
  let found: { readonly place: Place | undefined } | undefined;
  const place = () => {
    found ??= { place: placeOf(key, path) };
    return found.place;
  };
  return {
    kind,
    namespace: ref.namespace,
    name: ref.name,
    ...(path !== undefined && { path }),
    get file() {
      return place()?.file;
    },
    get line() {
      return place()?.line;
    },
    get column() {
      return place()?.column;
    },
  };
}

function hostHeader({ headers, host }: AskedRequest): string {
  return headers.find(([name]) => name.toLowerCase() === "host")?.[1] ?? host;
}

/** Addresses are not sent as server names (RFC 6066 §3). */
function serverNameOf(host: string): string {
  const name = host.replace(/:\d*$/, "");
  return name.startsWith("[") || /^[\d.]+$/.test(name) ? "" : name;
}

function seenOf({ seen }: DryRun, { host, path }: { readonly host: string; readonly path: string }) {
  const [seenHost, seenPath] = [seen && unicodeText(seen.authority), seen && unicodeText(seen.path)];
  return {
    ...(seenHost !== undefined && seenHost !== host && { seenHost }),
    ...(seenPath !== undefined && seenPath !== path && { seenPath }),
  };
}

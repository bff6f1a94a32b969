// The xDS server: keeps the resources of each Proxy and serves them to its Envoys over gRPC, aggregated or by separate services, as
// deltas or as the state of the world. This file is the outside: sockets, gRPC, identity, limits, time. hub.ts has who is
// connected, client.ts and below what each is sent and when.
//
// It leaves to others what the resources mean (translate) and what a refusal does to the user's resource (status).
import type { EnvoyResource, ProxyKey, Refusal, ResourceConsumer } from "../model/envoy-resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { type BoundAddress, type ListenAddress, type ListenSecurity, refuseOpenDoor } from "./address.ts";
import type { ClientInfo } from "./client.ts";
import { type Authenticate, GrpcDoor } from "./grpc.ts";
import { type ClientEvent, XdsHub } from "./hub.ts";
import type { XdsMetrics } from "./metrics.ts";

export interface XdsServerOptions {
  readonly log?: Logger;
  /** A client refused a resource: called once for each version of it. */
  readonly onRefusal?: (refusal: Refusal) => void;
  /** A client asks by name for a listener, as ours do when the port of one that they refused is free. */
  readonly onAskedAgain?: (listener: string) => void;
  readonly onClientChange?: (client: ClientInfo, what: ClientEvent) => void;
  /** Asked on every call of every method, before anything else is done. Without it, whoever can connect is let in. */
  readonly authenticate?: Authenticate;
  /** Said to clients, and shown by Envoy as `control_plane.identifier`. */
  readonly identifier?: string;
  /** What a node gets whose role names no Proxy: a listener that answers 500 and says why (as in Gloo), or PERMISSION_DENIED. */
  readonly unknownRole?: "fallback" | "refuse";
  /** Port of the fallback listener. */
  readonly fallbackPort?: number;
  /** How long a type waits for a client to acknowledge the type before it; for clusters that includes warming. Envoy itself gives up on endpoints after 15 s. */
  readonly holdMs?: number;
  /** How long an answer is waited for before the next response of the type follows it, and before what needs no cluster that is warming goes ahead. */
  readonly patienceMs?: number;
  /** A stream must say who it is within this time. */
  readonly firstMessageMs?: number;
  /** A client that has not read for this long is disconnected. */
  readonly stalledMs?: number;
  /** Names that one subscription may hold beyond those that exist. */
  readonly maxNames?: number;
  /** Largest request. One that lists 100,000 names with versions, as a reconnecting Envoy sends it, has about 9 MB. */
  readonly maxRequestBytes?: number;
  /** Requests a second that one stream may send for long; a burst of ten times as many is fine. What is more has to wait. */
  readonly requestsPerSecond?: number;
  /** HTTP/2 pings, to notice peers that are gone without a word. */
  readonly keepaliveMs?: number;
  /** When we stop, streams are ended over this time, each at a moment of its own, so that clients do not all come back at once. */
  readonly drainMs?: number;
}

export interface XdsServer extends ResourceConsumer, AsyncDisposable {
  /** May be called for several addresses. Other than loopback and Unix sockets need TLS that asks for client certificates. */
  listen(address: ListenAddress, security?: ListenSecurity): Promise<BoundAddress>;
  /** Says that all Proxies there are have been published. Until then a node with an unknown role is not answered, since it may be one to come. */
  ready(): void;
  clients(): readonly ClientInfo[];
  /** By type URL, what a client of this proxy that connects now would get. */
  served(proxy: ProxyKey): Readonly<Record<string, readonly EnvoyResource[]>>;
  /** Clusters that take their endpoints from EDS and have none published, not even an empty set: Envoy would wait for them, so they are kept back. */
  withheld(proxy: ProxyKey): readonly string[];
  readonly metrics: XdsMetrics;
}

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export function createXdsServer(options: XdsServerOptions = {}): XdsServer {
  const holdMs = options.holdMs ?? 20_000;
  const patienceMs = Math.min(options.patienceMs ?? 500, holdMs);
  const hub = new XdsHub({
    identifier: options.identifier ?? "headworks",
    unknownRole: options.unknownRole ?? "fallback",
    fallbackPort: options.fallbackPort ?? 8080,
    holdMs,
    patienceMs,
    firstMessageMs: options.firstMessageMs ?? 10_000,
    stalledMs: options.stalledMs ?? 60_000,
    maxNames: options.maxNames ?? 20_000,
    maxTypes: 64,
    log: options.log ?? silent,
    onRefusal: options.onRefusal ?? (() => {}),
    onAskedAgain: options.onAskedAgain ?? (() => {}),
    onClientChange: options.onClientChange,
  });
  const door = new GrpcDoor(hub, {
    authenticate: options.authenticate,
    maxRequestBytes: options.maxRequestBytes ?? 16 * 1024 * 1024,
    requestsPerSecond: options.requestsPerSecond ?? 100,
    keepaliveMs: options.keepaliveMs ?? 30_000,
    drainMs: options.drainMs ?? 0,
    log: options.log ?? silent,
  });
  const sweepMs = Math.max(10, Math.min(1000, ...[patienceMs, options.firstMessageMs, options.stalledMs].map((ms) => (ms ?? 10_000) / 4)));
  const timer = setInterval(() => hub.sweep(), sweepMs).unref();
  return {
    publish: (proxy, changes) => hub.publish(proxy, changes),
    retire: (proxy) => hub.retire(proxy),
    keepUnknown: (isSo) => hub.keepUnknown(isSo),
    ready: () => hub.ready(),
    clients: () => hub.clients(),
    served: (proxy) => hub.served(proxy),
    withheld: (proxy) => hub.withheld(proxy),
    metrics: hub.metrics,
    async listen(address, security = {}) {
      refuseOpenDoor(address, security);
      return door.listen(address, security);
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await door.close();
    },
  };
}

// Who is connected and what each Proxy has: publishing on one side, streams on the other. Knows no transport.
import type { EnvoyResource, ProxyKey, Refusal, ResourceChanges, ResourceConsumer, TypeUrl } from "../model/envoy-resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { Client, type ClientInfo } from "./client.ts";
import { fallbackListener, unknownRole } from "./fallback.ts";
import { Metrics } from "./metrics.ts";
import type { EnvoyNode } from "./node.ts";
import { ProxyResources } from "./proxy-resources.ts";
import { Pump } from "./pump.ts";
import { type Carrier, type StreamHost, XdsStream } from "./stream.ts";
import type { Push, Subscription, SubscriptionEvents } from "./subscription.ts";
import type { Variant } from "./wire.ts";

export interface HubSettings {
  readonly identifier: string;
  /** What a node gets whose role names no Proxy. */
  readonly unknownRole: "fallback" | "refuse";
  readonly fallbackPort: number;
  readonly holdMs: number;
  readonly patienceMs: number;
  readonly firstMessageMs: number;
  readonly stalledMs: number;
  readonly maxNames: number;
  readonly maxTypes: number;
  readonly log: Logger;
  readonly onRefusal: (refusal: Refusal) => void;
  readonly onAskedAgain: (listener: string) => void;
  readonly onClientChange: ((client: ClientInfo, what: ClientEvent) => void) | undefined;
}

/** `changed`: it acknowledged or refused something. */
export type ClientEvent = "connected" | "changed" | "gone";

/** Who a stream comes from, as its transport knows it. */
export interface Peer {
  readonly address: string;
  /** Whether it may be this Proxy's Envoy; undefined when anyone may. */
  readonly mayBe?: (proxy: ProxyKey, node: EnvoyNode) => boolean;
}

interface KnownProxy {
  readonly resources: ProxyResources;
  /** Published, and not retired since. Otherwise it is there because a node asked for it. */
  isPublished: boolean;
  /** Since the start: then it is known to be gone when it is not published. */
  wasPublished: boolean;
  readonly role: string;
}

export class XdsHub implements ResourceConsumer {
  readonly metrics = new Metrics();
  readonly streams = new Set<XdsStream>();
  readonly #settings: HubSettings;
  readonly #proxies = new Map<ProxyKey, KnownProxy>();
  readonly #clients = new Map<string, Client>();
  readonly #pump = new Pump<Client>((client) => this.#flush(client));
  readonly #unknownTypes = new Set<string>();
  readonly #warnedRoles = new Set<string>();
  #isReady = false;
  #keepsUnknown = false;
  #lastClientId = 0;

  constructor(settings: HubSettings) {
    this.#settings = settings;
  }

  publish(key: ProxyKey, changes: ResourceChanges): void {
    const proxy = this.#proxy(key, key);
    if (proxy.isPublished) {
      proxy.resources.publish(changes, performance.now());
      return;
    }
    proxy.isPublished = true;
    proxy.wasPublished = true;
    // What it had until now was the fallback: gone in the same moment.
    proxy.resources.publish({ upserts: changes.upserts, removals: [...proxy.resources.all(), ...changes.removals] }, performance.now());
    this.#wakeAll(); // those who waited for this proxy, and those whose fallback names the known ones
  }

  /** Its clients are then as one that connects now: at an unknown role. */
  retire(key: ProxyKey): void {
    const proxy = this.#proxies.get(key);
    if (proxy === undefined || !proxy.isPublished) return;
    proxy.isPublished = false;
    proxy.resources.publish({ upserts: [], removals: proxy.resources.all() }, performance.now());
    this.#forgetUnused(key, proxy);
    this.#wakeAll();
  }

  /** All Proxies that there are have been published. Until then an unknown role may be one that is still to come, and is not answered. */
  ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#onCertain();
  }

  /** A Proxy may be one of those things, too: an unknown role is not answered either, unless it is of one that went since the start. */
  keepUnknown(isSo: boolean): void {
    if (this.#keepsUnknown === isSo) return;
    this.#keepsUnknown = isSo;
    for (const [key, proxy] of this.#proxies) {
      proxy.resources.keepUnknown(isSo);
      this.#forgetUnused(key, proxy);
    }
    this.#onCertain();
  }

  get #knowsAllRoles(): boolean {
    return this.#isReady && !this.#keepsUnknown;
  }

  #onCertain(): void {
    if (!this.#knowsAllRoles) return;
    this.#wakeAll();
    if (this.#settings.unknownRole === "refuse") for (const stream of this.streams) this.#endUnknown(stream);
  }

  clients(): readonly ClientInfo[] {
    return [...this.#clients.values()].map((client) => client.info());
  }

  served(key: ProxyKey): Readonly<Record<string, readonly EnvoyResource[]>> {
    return this.#proxies.get(key)?.resources.served() ?? {};
  }

  withheld(key: ProxyKey): readonly string[] {
    return this.#proxies.get(key)?.resources.withheld() ?? [];
  }

  open(peer: Peer, carrier: Carrier, variant: Variant, onlyType: TypeUrl | undefined): XdsStream {
    const stream: XdsStream = new XdsStream(this.#hostOf(peer), this.#counting(carrier), variant, onlyType);
    this.streams.add(stream);
    this.metrics.streams++;
    this.metrics.streamsTotal++;
    return stream;
  }

  /** Every stream that was opened is closed, once. */
  close(stream: XdsStream): void {
    stream.closed();
    if (this.streams.delete(stream)) this.metrics.streams--;
  }

  /** Looks after what only time can tell; to be called a few times within the shortest of the times in the settings. */
  sweep(now = performance.now()): void {
    const { firstMessageMs, stalledMs } = this.#settings;
    for (const stream of this.streams) {
      if (stream.client === undefined && now - stream.openedAt >= firstMessageMs) {
        stream.end("DEADLINE_EXCEEDED", `no request came within ${firstMessageMs} ms`);
      } else if (stream.sendingSince !== undefined && now - stream.sendingSince >= stalledMs) {
        stream.end("UNAVAILABLE", `the client has read nothing for ${stalledMs} ms`);
      }
    }
    for (const { resources } of this.#proxies.values()) resources.sweep(now);
    for (const client of this.#clients.values()) if (client.isHeldUp(now)) this.#pump.wake(client);
  }

  #flush(client: Client): void {
    const proxy = this.#proxies.get(client.node.proxy);
    if (proxy?.wasPublished || this.#knowsAllRoles) client.flush();
  }

  #proxy(key: ProxyKey, role: string): KnownProxy {
    let proxy = this.#proxies.get(key);
    if (proxy === undefined) {
      proxy = { resources: new ProxyResources(this.#keepsUnknown), isPublished: false, wasPublished: false, role };
      this.#proxies.set(key, proxy);
    }
    return proxy;
  }

  #forgetUnused(key: ProxyKey, proxy: KnownProxy): void {
    const isRemembered = this.#keepsUnknown && proxy.wasPublished;
    if (!proxy.isPublished && !isRemembered && proxy.resources.followers.size === 0) this.#proxies.delete(key);
  }

  #publishedKeys(): ProxyKey[] {
    return [...this.#proxies].filter(([, { isPublished }]) => isPublished).map(([key]) => key);
  }

  /** After a Proxy came or went. */
  #wakeAll(): void {
    for (const proxy of this.#proxies.values()) if (!proxy.isPublished) this.#fallBack(proxy);
    for (const client of this.#clients.values()) this.#pump.wake(client);
  }

  #fallBack(proxy: KnownProxy): void {
    if (!this.#knowsAllRoles || this.#settings.unknownRole !== "fallback") return;
    const listener = fallbackListener(proxy.role, this.#publishedKeys(), this.#settings.fallbackPort);
    proxy.resources.publish({ upserts: [listener], removals: [] }, performance.now());
  }

  #endUnknown(stream: XdsStream): void {
    const node = stream.client?.node;
    if (node === undefined || this.#proxies.get(node.proxy)?.isPublished) return;
    stream.end("PERMISSION_DENIED", unknownRole(node.role, this.#publishedKeys()));
  }

  #hostOf(peer: Peer): StreamHost {
    return {
      limits: { names: this.#settings.maxNames, types: this.#settings.maxTypes },
      identifier: this.#settings.identifier,
      join: (stream, node) => this.#join(stream, node, peer),
      leave: (client) => this.#leave(client),
      wake: (client) => this.#pump.wake(client),
      events: (client) => this.#eventsOf(client),
      unknownType: (typeUrl, node) => this.#noteUnknownType(typeUrl, node),
    };
  }

  #join(stream: XdsStream, node: EnvoyNode, peer: Peer): Client | { readonly refused: string } {
    if (peer.mayBe !== undefined && !peer.mayBe(node.proxy, node)) {
      this.#settings.log.warn({ address: peer.address, node: node.id, role: node.role }, "a client asked for a proxy that it may not be");
      return { refused: `this identity may not be an Envoy of ${node.proxy}` };
    }
    const isKnown = this.#proxies.get(node.proxy)?.isPublished ?? false;
    if (!isKnown && this.#knowsAllRoles) {
      const text = unknownRole(node.role, this.#publishedKeys());
      this.#warnOnce(node, peer, text);
      if (this.#settings.unknownRole === "refuse") return { refused: text };
    }
    const proxy = this.#proxy(node.proxy, node.role);
    if (!isKnown) this.#fallBack(proxy);
    return this.#clientOf(stream, node, peer, proxy.resources);
  }

  /** An Envoy that is refused comes back every second or two; once for each role is enough. */
  #warnOnce(node: EnvoyNode, peer: Peer, text: string): void {
    if (this.#warnedRoles.has(node.role) || this.#warnedRoles.size >= 1000) return;
    this.#warnedRoles.add(node.role);
    this.#settings.log.warn({ address: peer.address, node: node.id }, text);
  }

  /** An ADS stream is a client of its own. The streams of the separate services are one client when the same node opens them from the same address. */
  #clientOf(stream: XdsStream, node: EnvoyNode, peer: Peer, resources: ProxyResources): Client {
    const id = this.#lastClientId + 1;
    const key = stream.onlyType === undefined ? `${id}` : JSON.stringify([stream.variant, peer.address, node.id, node.proxy]);
    const there = this.#clients.get(key);
    if (there !== undefined) return there;
    this.#lastClientId = id;
    const identity = {
      id,
      address: peer.address,
      variant: stream.variant,
      service: stream.onlyType === undefined ? "ads" : "separate",
    } as const;
    const client = new Client(key, identity, node, resources, {
      holdMs: this.#settings.holdMs,
      patienceMs: this.#settings.patienceMs,
      wake: (woken) => this.#pump.wake(woken),
      pushed: (subscription, push, bytes) => this.#count(subscription, push, bytes),
    });
    this.#clients.set(key, client);
    this.metrics.clients = this.#clients.size;
    this.#settings.onClientChange?.(client.info(), "connected");
    return client;
  }

  #leave(client: Client): void {
    if (!client.isEmpty) return;
    client.close();
    this.#clients.delete(client.key);
    this.#pump.drop(client);
    this.metrics.clients = this.#clients.size;
    const proxy = this.#proxies.get(client.node.proxy);
    if (proxy !== undefined) this.#forgetUnused(client.node.proxy, proxy);
    this.#settings.onClientChange?.(client.info(), "gone");
  }

  #eventsOf(client: Client): SubscriptionEvents {
    const { log, onClientChange, onRefusal, onAskedAgain } = this.#settings;
    return {
      acked: ({ typeUrl }) => {
        this.metrics.of(typeUrl).acks++;
        onClientChange?.(client.info(), "changed");
      },
      nacked: (subscription, message) => {
        this.metrics.of(subscription.typeUrl).nacks++;
        client.nacked(subscription);
        log.warn({ node: client.node.id, proxy: client.node.proxy, typeUrl: subscription.typeUrl, message }, "Envoy refused a response");
        onClientChange?.(client.info(), "changed");
      },
      refused: (resource, message, facts) => onRefusal({ proxy: client.node.proxy, node: client.node.id, resource, message, ...facts }),
      askedAgain: onAskedAgain,
      warn: (fields, message) => log.warn({ node: client.node.id, proxy: client.node.proxy, ...fields }, message),
    };
  }

  #count({ typeUrl }: Subscription, push: Push, bytes: number): void {
    const counts = this.metrics.of(typeUrl);
    counts.pushes++;
    counts.resources += push.changed.length;
    counts.bytes += bytes;
  }

  #counting(carrier: Carrier): Carrier {
    return {
      send: (message, left) => carrier.send(message, left),
      end: (reason, message) => {
        this.metrics.end(reason);
        carrier.end(reason, message);
      },
    };
  }

  /** Once for each type, and for no more types than anyone means. */
  #noteUnknownType(typeUrl: string, node: EnvoyNode): void {
    if (this.#unknownTypes.has(typeUrl) || this.#unknownTypes.size >= 100) return;
    this.#unknownTypes.add(typeUrl);
    this.#settings.log.info(
      { node: node.id, typeUrl: typeUrl.slice(0, 200) },
      "a client asks for a type that nobody publishes; it is told that there is none",
    );
  }
}

// One client: the subscriptions of one Envoy, on one stream (ADS) or on several (the separate services), and whose turn it is.
import { type EnvoyResource, typeUrls } from "../model/envoy-resource.ts";
import { Mentions } from "./mentions.ts";
import type { EnvoyNode } from "./node.ts";
import { turns } from "./order.ts";
import type { ChangedNames, Follower, ProxyResources } from "./proxy-resources.ts";
import type { Phase, Push, Sending, Subscription } from "./subscription.ts";
import type { Variant } from "./wire.ts";

/** The stream under a subscription. */
export interface Outlet {
  /** Bytes of an earlier response are still on their way out. */
  readonly isBusy: boolean;
  nextNonce(): string;
  /** Who we are, once a stream. */
  takeControlPlane(): string | undefined;
  send(message: Buffer): void;
}

export interface ClientHost {
  /** How long a type waits for the acknowledgement of the one before. */
  readonly holdMs: number;
  /** How long a response waits for the answer to the one before of its type, and for clusters that it has nothing to do with. */
  readonly patienceMs: number;
  /** There may be something to send. */
  wake(client: Client): void;
  pushed(subscription: Subscription, push: Push, bytes: number): void;
}

/** What there is to see of one type of one client. */
export interface TypeInfo {
  readonly typeUrl: string;
  /** Version of the set as last sent, and as last acknowledged. */
  readonly sentVersion: string;
  readonly ackedVersion: string;
  /** Resources that the client has. */
  readonly resources: number;
  readonly nacks: number;
  /** Since when an answer is awaited; milliseconds since 1970. */
  readonly pendingSince?: number;
}

export interface ClientInfo {
  readonly id: number;
  readonly node: string;
  readonly cluster: string;
  readonly role: string;
  readonly proxy: string;
  readonly userAgent: string;
  readonly address: string;
  readonly variant: Variant;
  /** One stream for all types, or one each. */
  readonly service: "ads" | "separate";
  readonly connectedSince: number;
  readonly types: readonly TypeInfo[];
}

export type ClientIdentity = Pick<ClientInfo, "id" | "address" | "variant" | "service">;

interface Seat {
  readonly subscription: Subscription;
  readonly outlet: Outlet;
}

/** Names of clusters that are looked for in what could go ahead of them. With more of them under way, it waits. */
const mostLookedFor = 16;

export class Client implements Follower {
  /** Among the clients that there are now. */
  readonly key: string;
  readonly node: EnvoyNode;
  readonly resources: ProxyResources;
  readonly #identity: ClientIdentity;
  readonly #host: ClientHost;
  readonly #connectedSince = Date.now();
  readonly #seats = new Map<Subscription, Seat>();
  /** EDS names of clusters that were just sent, and since when their endpoints are due. */
  readonly #owed = new Map<string, number>();
  readonly #mentions = new Mentions();

  constructor(key: string, identity: ClientIdentity, node: EnvoyNode, resources: ProxyResources, host: ClientHost) {
    this.key = key;
    this.#identity = identity;
    this.node = node;
    this.resources = resources;
    this.#host = host;
    resources.followers.add(this);
  }

  get isEmpty(): boolean {
    return this.#seats.size === 0;
  }

  add(subscription: Subscription, outlet: Outlet): void {
    this.#seats.set(subscription, { subscription, outlet });
  }

  remove(subscription: Subscription): void {
    this.#seats.delete(subscription);
  }

  close(): void {
    this.resources.followers.delete(this);
  }

  changed(names: ChangedNames): void {
    for (const subscription of this.#seats.keys()) {
      const ofType = names.get(subscription.typeUrl);
      if (ofType !== undefined) subscription.changed(ofType);
    }
    this.#host.wake(this);
  }

  reconsider(): void {
    for (const subscription of this.#seats.keys()) subscription.reconsider();
    this.#host.wake(this);
  }

  /** A refused cluster will never ask for its endpoints; those beside it are sent, and owed, again. */
  nacked(subscription: Subscription): void {
    if (subscription.typeUrl === typeUrls.cluster) this.#owed.clear();
  }

  /** Sends what may be sent now. */
  flush(): void {
    const now = performance.now();
    const all = [...this.#seats.values()].map((seat) => this.#turnOf(seat, now));
    for (const { turn, phase, isAhead } of turns(all, () => this.#owesEndpoints(now))) {
      this.#send(turn.seat, phase, now, isAhead ? this.#needsNoneOf(this.#unconfirmedClusters()) : undefined);
    }
  }

  /** Something has been waited for longer than usual: others may go on. */
  isHeldUp(now: number): boolean {
    for (const subscription of this.#seats.keys()) if (subscription.isOverWait(now)) return true;
    for (const { waitingSince } of this.#seats.keys()) {
      if (waitingSince !== undefined && now - waitingSince >= this.#host.patienceMs) return true;
    }
    for (const since of this.#owed.values()) if (now - since >= this.#host.holdMs) return true;
    return false;
  }

  info(): ClientInfo {
    return {
      ...this.#identity,
      node: this.node.id,
      cluster: this.node.cluster,
      role: this.node.role,
      proxy: this.node.proxy,
      userAgent: this.node.userAgent,
      connectedSince: this.#connectedSince,
      types: [...this.#seats.keys()].map(typeInfo),
    };
  }

  #turnOf(seat: Seat, now: number) {
    const { subscription, outlet } = seat;
    const { holdMs, patienceMs } = this.#host;
    const isAwaitedFor = (ms: number) => subscription.waitingSince !== undefined && now - subscription.waitingSince >= ms;
    return {
      seat,
      typeUrl: subscription.typeUrl,
      isFree: () => !outlet.isBusy && subscription.isFree(now, patienceMs),
      isAwaited: () => subscription.waitingSince !== undefined,
      isSlow: () => isAwaitedFor(patienceMs),
      isOverdue: () => isAwaitedFor(holdMs),
      hasWork: (phase: Phase) => subscription.hasWork(phase),
      isLingering: () => subscription.isLingering,
      hasWorkAhead: () => subscription.hasWorkThat(this.#needsNoneOf(this.#unconfirmedClusters())),
    };
  }

  /** Clusters that are new to the client, and that it has not said it has; undefined when they are too many to look for. */
  #unconfirmedClusters(): ReadonlySet<string> | undefined {
    const names = new Set<string>();
    for (const subscription of this.#seats.keys()) {
      if (subscription.typeUrl !== typeUrls.cluster) continue;
      const unconfirmed = subscription.unconfirmed(mostLookedFor);
      if (unconfirmed === undefined) return undefined;
      for (const name of unconfirmed) names.add(name);
    }
    return names;
  }

  #needsNoneOf(clusters: ReadonlySet<string> | undefined) {
    return (resource: EnvoyResource) => clusters !== undefined && this.#mentions.hasNone(resource, clusters);
  }

  #send({ subscription, outlet }: Seat, phase: Phase, now: number, passes: Sending["passes"]): void {
    const controlPlane = outlet.takeControlPlane();
    const { message, push } = subscription.next(phase, { nonce: outlet.nextNonce(), now, controlPlane, ...(passes && { passes }) });
    outlet.send(message);
    this.#host.pushed(subscription, push, message.length);
    const changed = push.changed.map(({ resource }) => resource);
    if (subscription.typeUrl === typeUrls.cluster) this.#oweEndpoints(changed, now);
    if (subscription.typeUrl === typeUrls.endpoint) for (const { name } of [...changed, ...push.removed]) this.#owed.delete(name);
  }

  /**
   * A Cluster that is new or changed warms up until it is given its endpoints, also those that Envoy has already: without them it
   * waits for its `initial_fetch_timeout`, 15 s. Delta does not ask again for a name that it is subscribed to, and state of the
   * world repeats a request that looks like an acknowledgement; so they are sent again unasked.
   */
  #oweEndpoints(clusters: readonly EnvoyResource[], now: number): void {
    const subscriptions = [...this.#seats.keys()].filter(({ typeUrl }) => typeUrl === typeUrls.endpoint);
    // Other clients (gRPC) ask for endpoints when they see fit.
    const willAsk = subscriptions.length > 0 || this.node.userAgent.startsWith("envoy");
    for (const { name } of clusters) {
      const endpoints = this.resources.endpointsOf(name);
      if (endpoints === undefined || !willAsk) continue;
      this.#owed.set(endpoints, now);
      for (const subscription of subscriptions) subscription.forget(endpoints);
    }
  }

  #owesEndpoints(now: number): boolean {
    for (const [name, since] of this.#owed) {
      if (now - since >= this.#host.holdMs || this.#cannotBeGiven(name)) this.#owed.delete(name);
      else return true;
    }
    return false;
  }

  #cannotBeGiven(endpoints: string): boolean {
    return (
      this.resources.get(typeUrls.endpoint, endpoints) === undefined && this.resources.departed(typeUrls.endpoint, endpoints) === undefined
    );
  }
}

function typeInfo(subscription: Subscription): TypeInfo {
  const { typeUrl, sentVersion, ackedVersion, size, nacks, waitingSince } = subscription;
  return {
    typeUrl,
    sentVersion,
    ackedVersion,
    resources: size,
    nacks,
    ...(waitingSince !== undefined && { pendingSince: wallTime(waitingSince) }),
  };
}

function wallTime(since: number): number {
  return Math.round(Date.now() - (performance.now() - since));
}

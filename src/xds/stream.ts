// One xDS stream, whatever carries it: requests come in as bytes, responses go out as bytes. Finds the client that the stream
// belongs to when the first request says who it is, and a subscription for each type.
import type { TypeUrl } from "../model/envoy-resource.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import type { Client, Outlet } from "./client.ts";
import { DeltaSubscription } from "./delta.ts";
import { type EnvoyNode, parseNode } from "./node.ts";
import { SotwSubscription } from "./sotw.ts";
import type { Subscription, SubscriptionEvents } from "./subscription.ts";
import { decodeRequest, type Variant, type XdsRequest } from "./wire.ts";

/** The gRPC statuses that a stream can end with. */
export type EndReason = "INVALID_ARGUMENT" | "PERMISSION_DENIED" | "RESOURCE_EXHAUSTED" | "DEADLINE_EXCEEDED" | "UNAVAILABLE";

/** What carries a stream. */
export interface Carrier {
  /** Calls back when the bytes have left: until then nothing more is sent. */
  send(message: Buffer, left: () => void): void;
  /** Ends the stream with a status; nothing is sent after. */
  end(reason: EndReason, message: string): void;
}

/** What a stream needs from the server. */
export interface StreamHost {
  readonly limits: { readonly names: number; readonly types: number };
  readonly identifier: string;
  /** The client of a node; undefined, with the reason, when it may not have one. */
  join(stream: XdsStream, node: EnvoyNode): Client | { readonly refused: string };
  leave(client: Client): void;
  wake(client: Client): void;
  events(client: Client): SubscriptionEvents;
  /** A type nobody publishes: worth one line in the log. */
  unknownType(typeUrl: string, node: EnvoyNode): void;
}

const served: ReadonlySet<string> = new Set(Object.values(typeUrls));

export class XdsStream implements Outlet {
  readonly variant: Variant;
  /** The type of a separate service; undefined on ADS. */
  readonly onlyType: TypeUrl | undefined;
  /** `performance.now()` */
  readonly openedAt = performance.now();
  /** When bytes were given to the carrier that have not left. */
  sendingSince: number | undefined;
  readonly #host: StreamHost;
  readonly #carrier: Carrier;
  readonly #subscriptions = new Map<string, DeltaSubscription | SotwSubscription>();
  #client: Client | undefined;
  #isOver = false;
  #nonce = 0;
  #saidWhoWeAre = false;

  constructor(host: StreamHost, carrier: Carrier, variant: Variant, onlyType: TypeUrl | undefined) {
    this.#host = host;
    this.#carrier = carrier;
    this.variant = variant;
    this.onlyType = onlyType;
  }

  get client(): Client | undefined {
    return this.#client;
  }

  get isBusy(): boolean {
    return this.sendingSince !== undefined || this.#isOver;
  }

  /** One request. Bytes that are none end the stream; they never end more than that. */
  receive(bytes: Uint8Array): void {
    if (this.#isOver) return;
    let request: XdsRequest;
    try {
      request = decodeRequest(this.variant, bytes);
    } catch {
      this.end("INVALID_ARGUMENT", "the request is not a valid discovery request");
      return;
    }
    const client = this.#client ?? this.#introduce(request);
    if (client === undefined) return;
    const subscription = this.#subscriptionOf(request, client);
    if (subscription === undefined) return;
    if (this.#asksTooMuch(request, subscription, client)) return;
    if (request.variant === "delta") (subscription as DeltaSubscription).receive(request);
    else (subscription as SotwSubscription).receive(request);
    this.#host.wake(client);
  }

  /** Ends it from our side. */
  end(reason: EndReason, message: string): void {
    if (this.#isOver) return;
    this.#carrier.end(reason, message);
    this.closed();
  }

  /** The carrier is gone, or was told to go. */
  closed(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const client = this.#client;
    if (client === undefined) return;
    for (const subscription of this.#subscriptions.values()) client.remove(subscription);
    this.#subscriptions.clear();
    this.#host.leave(client);
  }

  nextNonce(): string {
    this.#nonce++;
    return `${this.#nonce}`;
  }

  takeControlPlane(): string | undefined {
    if (this.#saidWhoWeAre) return undefined;
    this.#saidWhoWeAre = true;
    return this.#host.identifier;
  }

  send(message: Buffer): void {
    this.sendingSince = performance.now();
    this.#carrier.send(message, () => {
      this.sendingSince = undefined;
      if (this.#client !== undefined && !this.#isOver) this.#host.wake(this.#client);
    });
  }

  /** Only the first request needs to say who it is from, and only there is it read. */
  #introduce(request: XdsRequest): Client | undefined {
    const node = parseNode(request.node);
    if (node === undefined) {
      this.end("INVALID_ARGUMENT", "the first request must say who it is from: set node.metadata.role to namespace~proxy (or node.id)");
      return undefined;
    }
    const client = this.#host.join(this, node);
    if ("refused" in client) {
      this.end("PERMISSION_DENIED", client.refused);
      return undefined;
    }
    this.#client = client;
    return client;
  }

  #subscriptionOf(request: XdsRequest, client: Client): DeltaSubscription | SotwSubscription | undefined {
    const typeUrl = request.typeUrl === "" ? (this.onlyType ?? "") : request.typeUrl;
    const known = this.#subscriptions.get(typeUrl);
    if (known !== undefined) return known;
    if (typeUrl === "" || (this.onlyType !== undefined && typeUrl !== this.onlyType)) {
      this.end(
        "INVALID_ARGUMENT",
        typeUrl === "" ? "the request has no type_url" : `this service serves ${this.onlyType}, not ${typeUrl.slice(0, 200)}`,
      );
      return undefined;
    }
    if (this.#subscriptions.size >= this.#host.limits.types) {
      this.end("RESOURCE_EXHAUSTED", `more than ${this.#host.limits.types} types on one stream`);
      return undefined;
    }
    if (!served.has(typeUrl)) this.#host.unknownType(typeUrl, client.node);
    const Kind = this.variant === "delta" ? DeltaSubscription : SotwSubscription;
    const subscription = new Kind(typeUrl, client.resources, this.#host.events(client));
    this.#subscriptions.set(typeUrl, subscription);
    client.add(subscription, this);
    return subscription;
  }

  /** Names cost memory. A client may ask for all that there are, and for some more that do not exist yet. */
  #asksTooMuch(request: XdsRequest, subscription: Subscription, client: Client): boolean {
    const limit = this.#host.limits.names + client.resources.size(subscription.typeUrl);
    const asked = request.variant === "delta" ? subscription.names.size + request.subscribe.length : request.names.length;
    if (asked <= limit) return false;
    // The same names over and over are no more names.
    if (request.variant === "delta" && subscription.names.size + countNew(request.subscribe, subscription) <= limit) return false;
    this.end("RESOURCE_EXHAUSTED", `more than ${limit} names of ${subscription.typeUrl}`);
    return true;
  }
}

function countNew(names: readonly string[], subscription: Subscription): number {
  return new Set(names.filter((name) => !subscription.names.has(name))).size;
}

// A client that speaks the xDS protocol by hand, over the real socket: what it is told to say, and nothing of its own.
import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { Client, type ClientDuplexStream, credentials, Metadata, type StatusObject, status } from "@grpc/grpc-js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../../../src/gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import type { BoundAddress } from "../../../src/xds/address.ts";

export type Variant = "delta" | "sotw";

/** A response of either variant. */
export interface Answer {
  readonly typeUrl: string;
  readonly nonce: string;
  /** Of the set. */
  readonly version: string;
  /** Of the resources in it, in order. */
  readonly names: readonly string[];
  readonly removed: readonly string[];
  /** By name; empty for state of the world. */
  readonly versions: Readonly<Record<string, string>>;
  readonly bytes: Readonly<Record<string, Uint8Array>>;
  readonly controlPlane: string | undefined;
}

export interface TestClientOptions {
  readonly variant?: Variant;
  /** Full path of a gRPC method; default ADS. */
  readonly method?: string;
  readonly role?: string;
  readonly id?: string;
  readonly userAgent?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
const asIs = (bytes: Buffer) => bytes;

export class TestClient implements AsyncDisposable {
  readonly variant: Variant;
  readonly answers: Answer[] = [];
  /** How the stream ended. */
  readonly ended: Promise<StatusObject>;
  readonly #options: TestClientOptions;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<Buffer, Buffer>;
  readonly #names = new Map<string, Set<string>>();
  readonly #waiting: (() => void)[] = [];
  #read = 0;
  #saidNode = false;
  #sentinels = 0;

  constructor(address: BoundAddress, options: TestClientOptions = {}) {
    this.#options = options;
    this.variant = options.variant ?? "delta";
    const target = "path" in address ? `unix:${address.path}` : `${address.host}:${address.port}`;
    this.#client = new Client(target, credentials.createInsecure(), {
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
    });
    const path = options.method ?? `${ads}/${this.variant === "delta" ? "Delta" : "Stream"}AggregatedResources`;
    const metadata = new Metadata();
    for (const [name, value] of Object.entries(options.headers ?? {})) metadata.set(name, value);
    this.#call = this.#client.makeBidiStreamRequest(path, asIs, asIs, metadata);
    this.#call.on("data", (bytes: Buffer) => this.#received(bytes));
    this.#call.on("error", () => {});
    this.ended = new Promise((resolve) => this.#call.on("status", resolve));
  }

  /** Asks for names of a type in addition to those asked for before; none: for all there are. */
  subscribe(typeUrl: string, names: readonly string[] = []): void {
    const all = this.#names.get(typeUrl) ?? new Set();
    for (const name of names) all.add(name);
    this.#names.set(typeUrl, all);
    if (this.variant === "delta") this.delta({ typeUrl, resourceNamesSubscribe: [...names] });
    else this.sotw({ typeUrl, resourceNames: [...all], responseNonce: this.#lastNonce(typeUrl), versionInfo: this.#lastVersion(typeUrl) });
  }

  unsubscribe(typeUrl: string, names: readonly string[]): void {
    const all = this.#names.get(typeUrl) ?? new Set();
    for (const name of names) all.delete(name);
    if (this.variant === "delta") this.delta({ typeUrl, resourceNamesUnsubscribe: [...names] });
    else this.sotw({ typeUrl, resourceNames: [...all], responseNonce: this.#lastNonce(typeUrl) });
  }

  ack({ typeUrl, nonce, version }: Answer): void {
    if (this.variant === "delta") this.delta({ typeUrl, responseNonce: nonce });
    else this.sotw({ typeUrl, responseNonce: nonce, versionInfo: version, resourceNames: [...(this.#names.get(typeUrl) ?? [])] });
  }

  nack({ typeUrl, nonce }: Answer, message: string): void {
    const errorDetail = { code: status.INTERNAL, message };
    if (this.variant === "delta") this.delta({ typeUrl, responseNonce: nonce, errorDetail });
    else this.sotw({ typeUrl, responseNonce: nonce, errorDetail, resourceNames: [...(this.#names.get(typeUrl) ?? [])] });
  }

  delta(request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    this.raw(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, { ...this.#node(), ...request })));
  }

  sotw(request: MessageInitShape<typeof DiscoveryRequestSchema>): void {
    this.raw(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, { ...this.#node(), ...request })));
  }

  raw(bytes: Uint8Array): void {
    this.#call.write(Buffer.from(bytes));
  }

  /** The next response, in order of arrival. */
  async next(): Promise<Answer> {
    const index = this.#read++;
    const deadline = performance.now() + 30_000;
    while (this.answers[index] === undefined) {
      if (performance.now() > deadline) throw new Error("no response came");
      await Promise.race([new Promise<void>((resolve) => this.#waiting.push(resolve)), delay(200)]);
    }
    return this.answers[index] as Answer;
  }

  /** The next response, which must be of this type, acknowledged. */
  async take(typeUrl: string): Promise<Answer> {
    const answer = await this.next();
    if (answer.typeUrl !== typeUrl) throw new Error(`expected ${typeUrl}, got ${answer.typeUrl} with ${answer.names}`);
    this.ack(answer);
    return answer;
  }

  /**
   * What else comes, after a round trip or two. A type that nobody serves is answered at once and always, so its answers show
   * that everything before was dealt with; nothing needs to sleep.
   */
  async rest(): Promise<readonly Answer[]> {
    const found: Answer[] = [];
    for (let round = 0; round < 3; round++) {
      const typeUrl = `type.googleapis.com/test.Sentinel${this.#sentinels++}`;
      this.subscribe(typeUrl, ["none"]);
      for (let answer = await this.next(); answer.typeUrl !== typeUrl; answer = await this.next()) found.push(answer);
    }
    return found;
  }

  /** Stops reading, as a process does that is stopped. */
  pause(): void {
    this.#call.pause();
  }

  halfClose(): void {
    this.#call.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#call.cancel();
    this.#client.close();
  }

  #node(): object {
    if (this.#saidNode) return {};
    this.#saidNode = true;
    const { id = "test", role = "ns~proxy", userAgent = "" } = this.#options;
    return { node: { id, metadata: role === "" ? {} : { role }, userAgentName: userAgent } };
  }

  #lastNonce(typeUrl: string): string {
    return this.answers.findLast((answer) => answer.typeUrl === typeUrl)?.nonce ?? "";
  }

  #lastVersion(typeUrl: string): string {
    return this.answers.findLast((answer) => answer.typeUrl === typeUrl)?.version ?? "";
  }

  #received(bytes: Buffer): void {
    this.answers.push(this.variant === "delta" ? deltaAnswer(bytes) : sotwAnswer(bytes));
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

function deltaAnswer(bytes: Buffer): Answer {
  const message = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    nonce: message.nonce,
    version: message.systemVersionInfo,
    names: message.resources.map(({ name }) => name),
    removed: message.removedResources,
    versions: Object.fromEntries(message.resources.map(({ name, version }) => [name, version])),
    bytes: Object.fromEntries(message.resources.map(({ name, resource }) => [name, resource?.value ?? new Uint8Array()])),
    controlPlane: message.controlPlane?.identifier,
  };
}

function sotwAnswer(bytes: Buffer): Answer {
  const message = fromBinary(DiscoveryResponseSchema, bytes);
  const named = message.resources.map(({ value }) => [nameIn(value), value] as const);
  return {
    typeUrl: message.typeUrl,
    nonce: message.nonce,
    version: message.versionInfo,
    names: named.map(([name]) => name),
    removed: [],
    versions: {},
    bytes: Object.fromEntries(named),
    controlPlane: message.controlPlane?.identifier,
  };
}

/** Of all types we serve, field 1 is the name. */
function nameIn(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  reader.tag();
  return reader.string();
}

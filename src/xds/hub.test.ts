// Clients that behave like Envoy, at random speed and mood, against random edits: in the end each has exactly what is served, and on the
// way no route ever pointed at a cluster that was not there.
import { setImmediate as turn } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyResource, versionOf } from "../envoy/encode.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ClusterLoadAssignmentSchema } from "../gen/envoy/envoy/config/endpoint/v3/endpoint_pb.js";
import { RouteConfigurationSchema } from "../gen/envoy/envoy/config/route/v3/route_pb.js";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import { type EnvoyResource, type TypeUrl, typeUrls } from "../model/envoy-resource.ts";
import { XdsHub } from "./hub.ts";
import type { XdsStream } from "./stream.ts";
import type { Variant } from "./wire.ts";

const { cluster: CDS, endpoint: EDS, route: RDS } = typeUrls;
const silent = { debug() {}, info() {}, warn() {}, error() {} };

const makeHub = (patienceMs: number) =>
  new XdsHub({
    identifier: "test",
    unknownRole: "refuse",
    fallbackPort: 0,
    holdMs: 60_000,
    patienceMs,
    firstMessageMs: 60_000,
    stalledMs: 60_000,
    maxNames: 1000,
    maxTypes: 10,
    log: silent,
    onAskedAgain: () => {},
    onRefusal: () => {},
    onClientChange: undefined,
  });

const clusterOf = (name: string, alt: string) =>
  envoyResource(
    ClusterSchema,
    name,
    { name, altStatName: alt, clusterDiscoveryType: { case: "type", value: Cluster_DiscoveryType.EDS } },
    [],
  );
const endpointsOf = (name: string, drop: number) =>
  envoyResource(ClusterLoadAssignmentSchema, name, { clusterName: name, policy: { overprovisioningFactor: drop + 1 } }, []);
const routesOf = (clusters: readonly string[], salt: number) =>
  envoyResource(RouteConfigurationSchema, "r", { name: "r", internalOnlyHeaders: [...clusters], responseHeadersToRemove: [`${salt}`] }, []);

/**
 * Takes what it is sent, acknowledges late, and refuses what says "broken", by name or without. One that warms withholds its answers
 * about clusters for a while, as Envoy does: delta has an answer for each response then, state of the world one for all.
 */
class SimulatedEnvoy {
  readonly has = new Map<string, Map<string, Uint8Array>>([CDS, EDS, RDS].map((type) => [type, new Map()]));
  readonly violations: string[] = [];
  #stream: XdsStream;
  readonly #hub: XdsHub;
  readonly #id: string;
  readonly #variant: Variant;
  readonly #random: () => number;
  readonly #inbox: Uint8Array[] = [];
  readonly #asked = new Set<string>();
  readonly #last = new Map<string, string>();
  readonly #taken = new Map<string, string>();
  readonly #warms: boolean;
  readonly #warming = new Set<string>();
  #isPaused = false;
  #withheld: { nonce: string; error: string | undefined }[] = [];
  #saidNode = false;

  constructor(hub: XdsHub, variant: Variant, random: () => number, id: string, warms = false) {
    this.#warms = warms;
    this.#hub = hub;
    this.#id = id;
    this.#variant = variant;
    this.#random = random;
    this.#stream = this.#open();
    this.#request(CDS, {});
    this.#request(RDS, { add: ["r"] });
  }

  /** Loses its stream and what was on the way, and comes back saying what it has (delta) or wants. */
  reconnect(): void {
    this.#hub.close(this.#stream);
    this.#inbox.length = 0;
    this.#last.clear();
    this.#withheld = [];
    this.#isPaused = false;
    this.#warming.clear();
    this.#saidNode = false;
    this.#stream = this.#open();
    this.#request(CDS, { isFirst: true });
    if (this.#asked.size > 0) this.#request(EDS, { add: [...this.#asked], isFirst: true });
    this.#request(RDS, { add: ["r"], isFirst: true });
  }

  #open(): XdsStream {
    const stream: XdsStream = this.#hub.open(
      { address: this.#id },
      {
        send: (message, left) => {
          if (stream === this.#stream) this.#inbox.push(message);
          setImmediate(left);
        },
        end: () => {},
      },
      this.#variant,
      undefined,
    );
    return stream;
  }

  get isIdle(): boolean {
    return this.#inbox.length === 0 && !this.#isPaused;
  }

  /** Reads one response, perhaps. */
  step(): void {
    if (this.#isPaused && this.#random() < 0.1) this.#resume();
    const bytes = this.#random() < 0.5 ? this.#inbox.shift() : undefined;
    if (bytes === undefined) return;
    if (this.#variant === "delta") {
      const { typeUrl, nonce, resources, removedResources, systemVersionInfo } = fromBinary(
        DeltaDiscoveryResponseSchema,
        Uint8Array.from(bytes),
      );
      this.#take(
        typeUrl,
        nonce,
        new Map(resources.map(({ name, resource }) => [name, resource?.value as Uint8Array])),
        removedResources,
        systemVersionInfo,
      );
    } else {
      const { typeUrl, nonce, resources, versionInfo } = fromBinary(DiscoveryResponseSchema, Uint8Array.from(bytes));
      const sent = new Map(resources.map(({ value }) => [nameIn(typeUrl, value), value]));
      const gone = typeUrl === CDS ? [...(this.has.get(CDS)?.keys() ?? [])].filter((name) => !sent.has(name)) : [];
      this.#take(typeUrl, nonce, sent, gone, versionInfo);
    }
  }

  #take(typeUrl: string, nonce: string, sent: Map<string, Uint8Array>, gone: readonly string[], version: string): void {
    this.#last.set(typeUrl, nonce);
    const broken = [...sent].filter(([, bytes]) => Buffer.from(bytes).includes("broken")).map(([name]) => name);
    const isNamed = broken.length > 0 && this.#random() < 0.5;
    const news = [...sent.keys()].filter((name) => typeUrl === CDS && !broken.includes(name) && !this.has.get(CDS)?.has(name));
    if (broken.length === 0) this.#taken.set(typeUrl, version);
    if (broken.length === 0 || isNamed) {
      const mine = this.has.get(typeUrl) as Map<string, Uint8Array>;
      for (const name of gone) mine.delete(name);
      for (const [name, bytes] of sent) if (!broken.includes(name)) mine.set(name, bytes);
    }
    const error =
      broken.length === 0 ? undefined : isNamed ? `Error adding/updating cluster(s) ${broken.join(": x, ")}: x` : "Invalid duration";
    this.#check(typeUrl);
    if (typeUrl === CDS) this.#followClusters();
    if (typeUrl === CDS && this.#warms) {
      if (news.length > 0 && this.#random() < 0.5) this.#isPaused = true;
      if (this.#isPaused) {
        for (const name of news) if (this.has.get(CDS)?.has(name)) this.#warming.add(name);
        this.#withheld.push({ nonce, error });
        return;
      }
    }
    this.#request(typeUrl, { nonce, error });
  }

  #resume(): void {
    this.#isPaused = false;
    this.#warming.clear();
    const withheld = this.#withheld.splice(0);
    const error = withheld.findLast((answer) => answer.error !== undefined)?.error;
    const together = withheld.slice(-1).map(({ nonce }) => ({ nonce, error }));
    for (const answer of this.#variant === "delta" ? withheld : together) this.#request(CDS, answer);
  }

  #versions(typeUrl: string): Record<string, string> {
    return Object.fromEntries([...(this.has.get(typeUrl) ?? [])].map(([name, bytes]) => [name, versionOf(bytes)]));
  }

  #followClusters(): void {
    const wanted = new Set(this.has.get(CDS)?.keys());
    const add = [...wanted].filter((name) => !this.#asked.has(name));
    const remove = [...this.#asked].filter((name) => !wanted.has(name));
    for (const name of add) this.#asked.add(name);
    for (const name of remove) {
      this.#asked.delete(name);
      this.has.get(EDS)?.delete(name);
    }
    if (add.length + remove.length > 0) this.#request(EDS, { add, remove });
  }

  #check(typeUrl: string): void {
    const bytes = this.has.get(RDS)?.get("r");
    if (bytes === undefined) return;
    for (const name of fromBinary(RouteConfigurationSchema, bytes).internalOnlyHeaders) {
      if (this.#warming.has(name)) this.violations.push(`after ${typeUrl}: route to ${name}, which is warming`);
      else if (!this.has.get(CDS)?.has(name)) this.violations.push(`after ${typeUrl}: route to ${name}, which is not there`);
      else if (!this.has.get(EDS)?.has(name)) this.violations.push(`after ${typeUrl}: route to ${name}, which has no endpoints`);
    }
  }

  #request(
    typeUrl: string,
    {
      add = [],
      remove = [],
      nonce,
      error,
      isFirst = false,
    }: { add?: string[]; remove?: string[]; nonce?: string; error?: string | undefined; isFirst?: boolean },
  ): void {
    const node = this.#saidNode ? {} : { node: { id: "x", userAgentName: "envoy", metadata: { role: "ns~proxy" } } };
    this.#saidNode = true;
    const errorDetail = error === undefined ? {} : { errorDetail: { message: error } };
    if (this.#variant === "delta") {
      const request = {
        ...node,
        ...errorDetail,
        typeUrl,
        responseNonce: nonce ?? "",
        resourceNamesSubscribe: add,
        resourceNamesUnsubscribe: remove,
        initialResourceVersions: isFirst ? this.#versions(typeUrl) : {},
      };
      this.#stream.receive(toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, request)));
    } else {
      const resourceNames = typeUrl === EDS ? [...this.#asked] : typeUrl === RDS ? ["r"] : [];
      const responseNonce = nonce ?? this.#last.get(typeUrl) ?? "";
      const request = { ...node, ...errorDetail, typeUrl, responseNonce, resourceNames, versionInfo: this.#taken.get(typeUrl) ?? "" };
      this.#stream.receive(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, request)));
    }
  }
}

function nameIn(typeUrl: string, bytes: Uint8Array): string {
  if (typeUrl === CDS) return fromBinary(ClusterSchema, bytes).name;
  return typeUrl === EDS ? fromBinary(ClusterLoadAssignmentSchema, bytes).clusterName : fromBinary(RouteConfigurationSchema, bytes).name;
}

const seeds = Array.from({ length: Number(process.env.RUNS ?? 30) }, (_, i) => i + Number(process.env.SEED ?? 1));

test.each([
  ["delta", false],
  ["sotw", false],
  ["delta", true],
  ["sotw", true],
] as const)("%s, with broken resources: %s", async (variant, mayBreak) => {
  for (const seed of seeds) await simulate(variant, mayBreak, false, seed);
});

test.each([
  ["delta", false],
  ["sotw", false],
  ["delta", true],
  ["sotw", true],
] as const)("%s, with clusters that warm while others follow, with broken resources: %s", async (variant, mayBreak) => {
  for (const seed of seeds) await simulate(variant, mayBreak, true, seed);
});

async function simulate(variant: Variant, mayBreak: boolean, warms: boolean, seed: number): Promise<void> {
  const random = randomFrom(seed);
  const pick = (below: number) => Math.floor(random() * below);
  const hub = makeHub(warms ? 0 : 60_000);
  const world = new Map<string, number>([["c0", 0]]);
  const broken = new Set<string>();
  hub.publish("ns~proxy", { upserts: [clusterOf("c0", "x"), endpointsOf("c0", 0), routesOf(["c0"], 0)], removals: [] });
  hub.ready();
  const envoys = [new SimulatedEnvoy(hub, variant, random, "a", warms)];
  const stepAll = async () => {
    for (const envoy of envoys) envoy.step();
    await turn();
  };
  let next = 1;
  for (let edit = 1; edit <= 60; edit++) {
    const upserts: EnvoyResource[] = [];
    const removals: { typeUrl: TypeUrl; name: string }[] = [];
    for (let i = pick(3); i >= 0; i--) {
      const name = `c${next++}`;
      world.set(name, edit);
      upserts.push(clusterOf(name, mayBreak && random() < 0.2 ? "broken" : "fine"), endpointsOf(name, edit));
    }
    for (const name of [...world.keys()]) {
      if (random() < 0.1) upserts.push(clusterOf(name, `${mayBreak && random() < 0.2 ? "broken" : "fine"} ${edit}`));
      if (random() < 0.1) upserts.push(endpointsOf(name, edit * 100));
    }
    const routed = [...world.keys()].filter(() => random() < 0.6);
    for (const name of [...world.keys()]) {
      if (routed.includes(name) || random() < 0.5) continue;
      world.delete(name);
      removals.push({ typeUrl: CDS, name }, { typeUrl: EDS, name });
    }
    upserts.push(routesOf(routed, edit));
    for (const { typeUrl, name, bytes } of upserts) {
      if (typeUrl !== CDS) continue;
      if (Buffer.from(bytes).includes("broken")) broken.add(name);
      else broken.delete(name);
    }
    hub.publish("ns~proxy", { upserts: upserts.filter(({ typeUrl, name }) => typeUrl === RDS || world.has(name)), removals });
    if (edit === 30) envoys.push(new SimulatedEnvoy(hub, variant, random, "b", warms));
    // State of the world cannot come back without loss: a new stream's first set takes away what the old routes still use.
    if (variant === "delta" && random() < 0.15) envoys[pick(envoys.length)]?.reconnect();
    for (let i = pick(8); i > 0; i--) await stepAll();
  }
  for (let quiet = 0; quiet < 20; ) {
    await stepAll();
    quiet = envoys.every(({ isIdle }) => isIdle) ? quiet + 1 : 0;
  }
  const served = hub.served("ns~proxy");
  for (const envoy of envoys) {
    if (!mayBreak) expect(envoy.violations, `seed ${seed}`).toEqual([]);
    for (const type of [CDS, RDS]) {
      const expected = Object.fromEntries((served[type] ?? []).map(({ name, version }) => [name, version]));
      // Of what is broken, a client that never said so may run an earlier version: it keeps that, and no other client gets it.
      const had = [...(envoy.has.get(type) ?? [])].filter(([name]) => name in expected || !broken.has(name) || !world.has(name));
      const actual = Object.fromEntries(had.map(([name, bytes]) => [name, versionOf(bytes)]));
      expect(sorted(actual), `seed ${seed}, ${type}`).toEqual(sorted(expected));
    }
    for (const { name, version } of served[EDS] ?? []) {
      const bytes = envoy.has.get(EDS)?.get(name);
      if (envoy.has.get(CDS)?.has(name)) expect(bytes && versionOf(bytes), `seed ${seed}, endpoints of ${name}`).toBe(version);
    }
  }
}

function sorted(record: Record<string, string>): [string, string][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// What the control plane computes: all of a configuration once, then one change in it. A process for each size, so that none pays
// for the heap of another: `node bench/translation.ts 10000`, or `node bench/translation.ts hosts 10000`, prints one JSON line.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, toBinary } from "@bufbuild/protobuf";
import { builtins } from "../src/builtins.ts";
import { carryOut } from "../src/flow/carry-out.ts";
import { Flow } from "../src/flow/flow.ts";
import { Memory } from "../src/flow/memory.ts";
import { Publisher } from "../src/flow/publisher.ts";
import { DeltaDiscoveryResponseSchema } from "../src/gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import { type PlainResource, realistic, upstream } from "../src/lib/testing/realistic.ts";
import type { ResourceChanges } from "../src/model/envoy-resource.ts";
import type { ResourceKey } from "../src/model/ref.ts";
import type { Resource } from "../src/model/resource.ts";
import { readText } from "../src/sources/read-text.ts";
import { type BenchRow, median, spread } from "./row.ts";

export async function benchTranslation(sizes: readonly number[] = [1_000, 10_000, 100_000]): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const args of [...sizes.map((size) => [String(size)]), ["hosts", "10000"]]) {
    const { stdout } = await promisify(execFile)(process.execPath, ["--max-old-space-size=4096", import.meta.filename, ...args], {
      maxBuffer: 1 << 24,
    });
    rows.push(...(JSON.parse(stdout) as BenchRow[]));
  }
  return rows;
}

interface Measured {
  readonly name: string;
  /** Upstreams. */
  readonly size: number;
  readonly objects: readonly PlainResource[];
  readonly edits: readonly Edited[];
  /** Milliseconds. */
  readonly goals: { readonly full?: number; readonly route?: number };
}

type Edited = "an Upstream edited" | "a route edited" | "endpoints changed";

/** Routes grow with Upstreams, one for ten. */
function manyUpstreams(size: number): Measured {
  const objects = realistic({ upstreams: size, routes: size / 10 });
  const edits = ["an Upstream edited", "a route edited", "endpoints changed"] as const;
  return { name: `${size.toLocaleString("en")} Upstreams`, size, objects, edits, goals: {} };
}

/** VirtualServices of three routes, every fourth of which delegates to a RouteTable. */
function manyHosts(count: number): Measured {
  const size = 1_000;
  const objects = realistic({ upstreams: size, routes: count * 3, routesPerTable: 3 });
  const name = `${count.toLocaleString("en")} VirtualServices × 3 routes`;
  return { name, size, objects, edits: ["a route edited"], goals: { full: 1_500, route: 2 } };
}

function measure({ name, size, objects, edits: wanted, goals }: Measured): BenchRow[] {
  const row = (what: string, value: number, unit: string, more: Pick<BenchRow, "goal" | "note"> = {}): BenchRow => ({
    area: "translation",
    what: `${name}: ${what}`,
    value,
    unit,
    ...more,
  });
  const beforeRead = cpuMs();
  const resources = objects.map(read);
  const readMs = cpuMs() - beforeRead;

  const flow = new Flow(builtins);
  const wire = new Wire();
  const publisher = new Publisher(flow, [wire], (fault) => {
    throw fault;
  });
  const memory = new Memory(flow, undefined);
  const settle = (edit: () => void) => carryOut(publisher, memory, flow.graph.batch(edit));
  const before = cpuMs();
  const from = performance.now();
  flow.graph.batch(() => {
    for (const resource of resources) flow.apply("files", resource);
  });
  carryOut(publisher, memory, undefined);
  const fullMs = performance.now() - from;
  const fullCpuMs = cpuMs() - before;

  const editOf: Readonly<Record<Edited, (round: number) => () => void>> = {
    "an Upstream edited": (round) => upstreamEdit(flow, round, size),
    "a route edited": (round) => routeEdit(flow, objects, round),
    "endpoints changed": (round) => endpointsEdit(flow, round, size),
  };
  const rows = [
    row("reading, all", readMs, "ms CPU"),
    row("full translation", fullMs, "ms", { ...(goals.full && { goal: goals.full }), note: `${fullCpuMs.toFixed(0)} ms CPU` }),
    row("full translation, on the wire", wire.take(), "bytes"),
  ];
  for (const what of wanted) {
    const edit = editOf[what];
    for (let round = 0; round < 300; round++) settle(edit(round));
    wire.take();
    const sent = Array.from({ length: 20 }, (_, round) => {
      settle(edit(500 + round));
      const start = cpuMs();
      return { bytes: wire.take(), encodingMs: cpuMs() - start };
    });
    const samples = wire.unread(() => {
      collectGarbage();
      return Array.from({ length: 60 }, (_, round) => {
        const prepared = Array.from({ length: 5 }, (_, i) => edit(1000 + round * 5 + i));
        const start = cpuMs();
        for (const each of prepared) settle(each);
        return (cpuMs() - start) / prepared.length;
      });
    });
    const isRoute = what === "a route edited";
    const goal = isRoute ? goals.route : 1;
    rows.push(row(what, median(samples), "ms CPU", { ...(goal && { goal }), note: spread(samples, 2) }));
    const bytes = median(sent.map((each) => each.bytes));
    const encodingMs = median(sent.map((each) => each.encodingMs));
    rows.push(
      row(`${what}, on the wire`, bytes, "bytes", { ...(!isRoute && { goal: 1024 }), note: `encoded in ${encodingMs.toFixed(2)} ms CPU` }),
    );
  }
  return rows;
}

function upstreamEdit(flow: Flow, round: number, size: number): () => void {
  const i = (round * 7919) % size;
  const plain = upstream(i);
  const edited = read({ ...plain, spec: { ...plain.spec, static: { hosts: [{ addr: "10.9.9.9", port: 20_000 + (round % 10_000) }] } } });
  return () => flow.apply("files", edited);
}

function routeEdit(flow: Flow, objects: readonly PlainResource[], round: number): () => void {
  const hosts = objects.filter(({ kind, metadata }) => kind === "VirtualService" && !metadata.name.endsWith("3"));
  const plain = hosts[(round * 31) % hosts.length] as PlainResource;
  const text = JSON.stringify(plain).replace('"timeout":"20s"', `"timeout":"${(round % 500) + 21}s"`);
  const edited = read(JSON.parse(text));
  return () => flow.apply("files", edited);
}

function endpointsEdit(flow: Flow, round: number, size: number): () => void {
  const plain = upstream((round * 7919) % size);
  const key = `Upstream ${plain.metadata.namespace}/${plain.metadata.name}` as ResourceKey;
  return () => flow.inputs.addresses.set(key, [{ address: `10.8.${(round >> 8) & 255}.${round & 255}`, port: 80 }]);
}

function read(object: PlainResource): Resource {
  const [resource] = readText(JSON.stringify(object), `${object.kind}-${object.metadata.name}.json`).resources;
  if (resource === undefined) throw new Error(`cannot read ${JSON.stringify(object)}`);
  return resource;
}

/** Counts what a client would be sent: the responses of delta xDS, one for each type. They are encoded when they are counted. */
class Wire {
  readonly #published: ResourceChanges[] = [];
  #isRead = true;

  publish(_proxy: string, changes: ResourceChanges): void {
    if (this.#isRead) this.#published.push(changes);
  }

  /** Nothing is kept or encoded meanwhile: the garbage of a large table's encoding is no cost of what is before the wire. */
  unread<T>(during: () => T): T {
    this.#isRead = false;
    try {
      return during();
    } finally {
      this.#isRead = true;
    }
  }

  retire(): void {}

  take(): number {
    return this.#published.splice(0).reduce((sum, changes) => sum + bytesOf(changes), 0);
  }
}

function bytesOf({ upserts, removals }: ResourceChanges): number {
  let sum = 0;
  for (const typeUrl of new Set([...upserts, ...removals].map((each) => each.typeUrl))) {
    const message = create(DeltaDiscoveryResponseSchema, {
      systemVersionInfo: "0123456789abcdef",
      typeUrl,
      nonce: "12345",
      resources: upserts
        .filter((each) => each.typeUrl === typeUrl)
        .map(({ name, version, bytes }) => ({ name, version, resource: { typeUrl, value: bytes } })),
      removedResources: removals.filter((each) => each.typeUrl === typeUrl).map(({ name }) => name),
    });
    sum += toBinary(DeltaDiscoveryResponseSchema, message).length;
  }
  return sum;
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

if (import.meta.main) {
  const [first = "1000", count] = process.argv.slice(2);
  console.log(JSON.stringify(measure(first === "hosts" ? manyHosts(Number(count)) : manyUpstreams(Number(first)))));
}

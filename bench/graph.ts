// What the graph costs: microseconds for a batch of one edit, and bytes for an entry, in a world of one size or another.
// Run: node bench/graph.ts
import { pathToFileURL } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Collection, Graph, type Input } from "../src/graph/mod.ts";

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

export async function benchGraph(): Promise<Row[]> {
  const rows: Row[] = [];
  measureEdits(100); // so that the first size does not pay for the compiler
  for (const size of [1_000, 10_000, 100_000]) rows.push(...measureEdits(size));
  for (const size of [10_000, 100_000]) rows.push(...measureMemory(size), ...measureLoad(size));
  rows.push(...measureGroups());
  return rows;
}

interface Upstream {
  readonly namespace: string;
  readonly secret: string;
  readonly weight: number;
}

interface World {
  readonly graph: Graph;
  readonly upstreams: Input<Upstream>;
  readonly secrets: Input<string>;
  readonly last: Collection<unknown>;
}

/** A chain of four collections, two of which read something besides, and an index with groups of ten. */
function chain(): World {
  const graph = new Graph();
  const secrets = graph.input<string>("secrets");
  const settings = graph.value("settings", (read) => read.get(secrets, "settings") ?? "none");
  const upstreams = graph.input<Upstream>("upstreams");
  upstreams.index("byNamespace", (each) => [each.namespace]);
  const checked = graph.derive("checked", upstreams, (each) => ({ upstream: each }));
  const resolved = graph.derive("resolved", checked, ({ upstream }, _, read) => ({ upstream, secret: read.get(secrets, upstream.secret) }));
  const clusters = graph.derive("clusters", resolved, (each, _, read) => ({ each, settings: read.value(settings) }));
  const last = graph.deriveMany("resources", clusters, (cluster, key) => [[key, cluster]]);
  return { graph, upstreams, secrets, last };
}

const keyOf = (n: number) => `namespace-${n % 100}/upstream-${n}`;
const upstreamOf = (n: number, size: number, weight = 1): Upstream => ({
  namespace: `n${n % Math.ceil(size / 10)}`,
  secret: `s${n}`,
  weight,
});

function filled(size: number, world = chain()): World {
  world.graph.batch(() => {
    for (let n = 0; n < size; n++) world.upstreams.set(keyOf(n), upstreamOf(n, size));
  });
  return world;
}

function measureEdits(size: number): Row[] {
  const { graph, upstreams, secrets, last } = filled(size);
  let round = 1;
  const set = () => {
    const n = (round * 7919) % size;
    graph.batch(() => upstreams.set(keyOf(n), upstreamOf(n, size, ++round)));
  };
  const resolve = () => {
    const n = (round * 7919) % size;
    graph.batch(() => secrets.set(`s${n}`, `v${++round}`));
  };
  // A new key each time: one key that comes and goes leaves holes in one bucket of V8's maps, and would measure those.
  const addAndDelete = () => {
    const key = `new-${++round}`;
    graph.batch(() => upstreams.set(key, upstreamOf(1, size)));
    graph.batch(() => upstreams.delete(key));
  };
  const rows = [
    { name: `one entry edited, of ${size}`, value: medianMicroseconds(set), unit: "µs" },
    { name: `one read entry edited, of ${size}`, value: medianMicroseconds(resolve), unit: "µs" },
    { name: `one entry added and deleted, two batches, of ${size}`, value: medianMicroseconds(addAndDelete), unit: "µs" },
  ];
  if (last.size !== size) throw new Error(`expected ${size} entries, there are ${last.size}`);
  return rows;
}

/** Of 200 rounds of 50: a round is long enough for the clock, the median shrugs off a busy machine. */
function medianMicroseconds(action: () => void): number {
  for (let n = 0; n < 5_000; n++) action();
  const rounds: number[] = [];
  for (let round = 0; round < 200; round++) {
    const from = performance.now();
    for (let n = 0; n < 50; n++) action();
    rounds.push(((performance.now() - from) * 1000) / 50);
  }
  return rounds.sort((a, b) => a - b)[100]!;
}

/** What the graph adds to keys and values that exist anyway: heap of a filled chain, less that of the same values in plain maps. */
function measureMemory(size: number): Row[] {
  const values = Array.from({ length: size }, (_, n) => [keyOf(n), upstreamOf(n, size)] as const);
  const world = chain();
  const before = heap();
  world.graph.batch(() => {
    for (const [key, upstream] of values) world.upstreams.set(key, upstream);
  });
  const graphBytes = heap() - before;
  const plain: unknown[] = [];
  const plainBefore = heap();
  for (const [, upstream] of values) {
    const resolved = { upstream, secret: undefined };
    plain.push({ upstream }, resolved, { each: resolved, settings: "none" });
  }
  const valueBytes = heap() - plainBefore;
  if (plain.length !== 3 * size || world.last.size !== size) throw new Error("something was not kept");
  return [
    { name: `added for an entry in a chain of four and an index, of ${size}`, value: (graphBytes - valueBytes) / size, unit: "bytes" },
  ];
}

function measureLoad(size: number): Row[] {
  const from = performance.now();
  filled(size);
  return [{ name: `all entries set in one batch, of ${size}`, value: performance.now() - from, unit: "ms" }];
}

/** A group of 10,000 is listed again by its reader after each change. */
function measureGroups(): Row[] {
  const graph = new Graph();
  const upstreams = graph.input<Upstream>("upstreams");
  const byNamespace = upstreams.index("byNamespace", (each) => [each.namespace]);
  graph.deriveGroups("groups", byNamespace, (_, entries) => entries.length);
  graph.batch(() => {
    for (let n = 0; n < 10_000; n++) upstreams.set(keyOf(n), { namespace: "one", secret: "s", weight: n });
  });
  let round = 0;
  const swap = () => {
    graph.batch(() => upstreams.delete(keyOf(++round % 10_000)));
    graph.batch(() => upstreams.set(keyOf(round % 10_000), { namespace: "one", secret: "s", weight: round }));
  };
  return [{ name: "group of 10,000 listed after one change", value: medianMicroseconds(swap) / 2, unit: "µs" }];
}

function heap(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const { name, value, unit } of await benchGraph())
    console.log(`${value.toFixed(value < 100 ? 1 : 0).padStart(8)} ${unit.padEnd(6)} ${name}`);
}

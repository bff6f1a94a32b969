// The law of the graph, on a small world that uses everything: after any batches of any edits, each collection equals what a
// new graph with the same inputs holds; no key runs twice in a batch; and exactly those run whose reads changed.
import fc from "fast-check";
import { expect, it } from "vitest";
import { type BatchResult, type Collection, Graph, type Index, type Input, type Read, type Single } from "./mod.ts";

const editsPerSequence = 50;
const edits = process.env.HEADWORKS_LONG === "1" ? 100_000 : 20_000;

it(`incremental equals from scratch over ${edits} edits`, { timeout: 300_000 }, () => {
  let made = 0;
  fc.assert(
    fc.property(fc.array(edit, { minLength: editsPerSequence, maxLength: editsPerSequence }), (sequence) => {
      const world = worldOf(() => {});
      for (const batch of batches(sequence)) {
        const result = world.graph.batch(() => {
          for (const each of batch) apply(world, each);
        });
        expectRuns(world, result);
        expect(stateOf(world)).toStrictEqual(stateOf(sameInputs(world, "before the collections are created")));
        expect(stateOf(world)).toStrictEqual(stateOf(sameInputs(world, "in one batch")));
        made += batch.length;
      }
    }),
    { numRuns: edits / editsPerSequence },
  );
  expect(made).toBeGreaterThanOrEqual(edits);
});

// ---- the world

interface Upstream {
  readonly namespace: string;
  readonly secret: string;
  readonly weight: number;
}

interface World {
  readonly graph: Graph;
  readonly upstreams: Input<Upstream>;
  readonly secrets: Input<string>;
  readonly settings: Input<string>;
  readonly indexes: readonly Index<unknown>[];
  readonly derived: readonly Collection<unknown>[];
  /** What each derived collection is made from, for those made key by key. */
  readonly parents: ReadonlyMap<string, Collection<unknown> | Index<unknown>>;
  /** What the last run of `collection key` read. */
  readonly reads: Map<string, readonly Noted[]>;
}

type Noted =
  | { readonly kind: "key"; readonly of: Collection<unknown>; readonly key: string }
  | { readonly kind: "group"; readonly of: Index<unknown>; readonly key: string }
  | { readonly kind: "list" | "size"; readonly of: Collection<unknown> };

function worldOf(fill: (inputs: Pick<World, "graph" | "upstreams" | "secrets" | "settings">) => void): World {
  const graph = new Graph();
  const upstreams = graph.input<Upstream>("upstreams", { equals: (a, b) => JSON.stringify(a) === JSON.stringify(b) });
  const secrets = graph.input<string>("secrets");
  const settings = graph.input<string>("settings");
  fill({ graph, upstreams, secrets, settings });
  const reads: World["reads"] = new Map();
  const noting = <A extends readonly unknown[], R>(name: string, compute: (unit: string, read: Read, ...rest: A) => R) => {
    return (unit: string, read: Read, ...rest: A): R => {
      const noted: Noted[] = [];
      reads.set(`${name} ${unit}`, noted);
      return compute(unit, notingRead(read, noted), ...rest);
    };
  };

  const byNamespace = upstreams.index("byNamespace", (each) => [each.namespace]);
  const byLetter = upstreams.index("byLetter", (each, key) => [key[0]!, each.secret, each.secret]);

  const computeMode = noting("mode", (_, read) => read.get(settings, "mode") ?? "plain");
  const mode = graph.value("mode", (read) => computeMode("", read));

  const computeCluster = noting("clusters", (key, read, each: Upstream) => {
    if (each.weight === 7) return undefined;
    const secret = read.get(secrets, each.secret);
    if (secret === "bad") throw new Error(`the secret of ${key} is bad`);
    const neighbours = read.value(mode) === "social" ? read.lookup(byLetter, each.secret).map(([name]) => name) : [];
    return { hosts: [each.namespace, `w${each.weight % 3}`], text: `${secret} ${neighbours}`, isHeavy: each.weight > 4 };
  });
  const clusters = graph.derive("clusters", upstreams, (each, key, read) => computeCluster(key, read, each), {
    equals: (a, b) => JSON.stringify(a) === JSON.stringify(b),
    onError: (_, error) => (messageOf(error).length % 2 === 0 ? { hosts: ["error"], text: messageOf(error), isHeavy: false } : undefined),
  });

  const computeHosts = noting("hosts", (key, read, cluster: { hosts: readonly string[]; isHeavy: boolean }) => {
    const isListed = cluster.isHeavy && read.has(secrets, "s1");
    return [...cluster.hosts, ...(isListed ? ["heavy", key] : [])].map((host) => [host, `${key} ${read.size(secrets)}`] as const);
  });
  const hosts = graph.deriveMany("hosts", clusters, (cluster, key, read) => computeHosts(key, read, cluster));
  const byOwner = hosts.index("byOwner", (owner, host) => [owner.slice(0, 2), host[0]!]);

  const computeConfig = noting("configs", (namespace, read, entries: readonly (readonly [string, Upstream])[]) => {
    if (entries.length > 4) throw new Error("too many");
    return `${entries.map(([key, each]) => `${key}:${each.weight}`)} ${read.get(hosts, namespace)} ${read.get(clusters, "u1")?.text}`;
  });
  const configs = graph.deriveGroups("configs", byNamespace, (key, entries, read) => computeConfig(key, read, entries));

  const computeOwned = noting("owned", (key, read, entries: readonly (readonly [string, string])[]) => {
    return `${key} ${entries.map(([host]) => host)} ${read.lookup(byNamespace, key).length}`;
  });
  const owned = graph.deriveGroups("owned", byOwner, (key, entries, read) => computeOwned(key, read, entries));

  const computeSummary = noting("summary", (_, read) => ({ configs: read.list(configs), owned: read.size(owned), mode: read.value(mode) }));
  const summary = graph.value("summary", (read) => computeSummary("", read));

  const computeLast = noting("last", (key, read, value: string) => {
    return value.startsWith("u2") ? JSON.stringify(read.value(summary)) : `${key} ${read.get(owned, key)} ${read.has(configs, "nowhere")}`;
  });
  const last = graph.derive("last", hosts, (value, key, read) => computeLast(key, read, value));

  const parents = new Map<string, Collection<unknown> | Index<unknown>>([
    ["clusters", upstreams],
    ["hosts", clusters],
    ["configs", byNamespace as Index<unknown>],
    ["owned", byOwner as Index<unknown>],
    ["last", hosts],
  ]);
  const indexes = [byNamespace, byLetter, byOwner] as readonly Index<unknown>[];
  return { graph, upstreams, secrets, settings, indexes, derived: [mode, clusters, hosts, configs, owned, summary, last], parents, reads };
}

const messageOf = (error: unknown) => (error as Error).message;

/** The same reads, noted by the test itself. */
function notingRead(read: Read, noted: Noted[]): Read {
  const note = (each: Noted): Read => {
    noted.push(each);
    return read;
  };
  return {
    get: (of, key) => note({ kind: "key", of, key }).get(of, key),
    has: (of, key) => note({ kind: "key", of, key }).has(of, key),
    lookup: (of, key) => note({ kind: "group", of: of as Index<unknown>, key }).lookup(of, key),
    list: (of) => note({ kind: "list", of }).list(of),
    size: (of) => note({ kind: "size", of }).size(of),
    value: <V>(of: Single<V>) => note({ kind: "key", of, key: "" }).value(of),
  };
}

// ---- edits

type Edit = { readonly endsBatch: boolean } & (
  | { readonly input: "upstreams"; readonly key: string; readonly value: Upstream | undefined }
  | { readonly input: "secrets" | "settings"; readonly key: string; readonly value: string | undefined }
);

const absent = fc.constant(undefined);
const endsBatch = fc.nat(3).map((n) => n === 0);
const secretName = fc.constantFrom("s1", "s2", "s3");
const upstream = fc.record({ namespace: fc.constantFrom("ns1", "ns2", "u1", "w1"), secret: secretName, weight: fc.nat(8) });
const edit: fc.Arbitrary<Edit> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      input: fc.constant("upstreams" as const),
      key: fc.constantFrom("u1", "u2", "u3", "u4", "u5", "u6", "v1", "v2"),
      value: fc.oneof({ weight: 3, arbitrary: upstream }, { weight: 2, arbitrary: absent }),
      endsBatch,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      input: fc.constant("secrets" as const),
      key: secretName,
      value: fc.oneof(fc.constantFrom("bad", "good", "fine"), absent),
      endsBatch,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      input: fc.constant("settings" as const),
      key: fc.constantFrom("mode", "unrelated"),
      value: fc.oneof(fc.constantFrom("plain", "social"), absent),
      endsBatch,
    }),
  },
);

function* batches(sequence: readonly Edit[]): Iterable<readonly Edit[]> {
  let batch: Edit[] = [];
  for (const each of sequence) {
    batch.push(each);
    if (!each.endsBatch) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function apply(world: World, { input, key, value }: Edit): void {
  if (value === undefined) world[input].delete(key);
  else (world[input] as Input<unknown>).set(key, value);
}

// ---- what is expected

/** A new graph with the same inputs, set in the opposite order. */
function sameInputs(world: World, when: "in one batch" | "before the collections are created"): World {
  const fill = (to: Pick<World, "graph" | "upstreams" | "secrets" | "settings">) =>
    to.graph.batch(() => {
      for (const name of ["settings", "secrets", "upstreams"] as const) {
        for (const [key, value] of world[name].entries().toReversed()) (to[name] as Input<unknown>).set(key, value);
      }
    });
  if (when === "before the collections are created") return worldOf(fill);
  const fresh = worldOf(() => {});
  fill(fresh);
  return fresh;
}

function stateOf({ graph, derived, indexes }: World): unknown {
  return {
    collections: derived.map((each) => [each.name, each.size, each.entries()]),
    indexes: indexes.map((index) => [index.name, [...index.keys()].sort().map((key) => [key, index.lookup(key)])]),
    explanations: derived.map((each) =>
      each.entries().map(([key]) => graph.explain(each, key).runs.map(({ from, reads, error }) => ({ from, reads, error }))),
    ),
  };
}

/** Exactly the units ran whose reads, as the test itself noted them, changed in this batch. */
function expectRuns(world: World, result: BatchResult): void {
  for (const collection of world.derived) {
    const ran = result.ran.get(collection.name) ?? [];
    expect(new Set(ran).size, `${collection.name}: a key ran twice`).toBe(ran.length);
    expect(ran.toSorted(), collection.name).toEqual(unitsToRun(world, collection, result).toSorted());
  }
}

/** Judged by the notes of the last run: a unit that ran now has read the same as before up to the change that made it run. */
function unitsToRun(world: World, collection: Collection<unknown>, result: BatchResult): string[] {
  const parent = world.parents.get(collection.name);
  if (parent === undefined) return notesBefore(world, collection.name, "").some((noted) => hasChanged(noted, result)) ? [""] : [];
  return unitsOf(parent).filter((unit) => {
    const from: Noted = "lookup" in parent ? { kind: "group", of: parent, key: unit } : { kind: "key", of: parent, key: unit };
    return hasChanged(from, result) || notesBefore(world, collection.name, unit).some((noted) => hasChanged(noted, result));
  });
}

const notesBefore = (world: World, name: string, unit: string) => world.reads.get(`${name} ${unit}`) ?? [];

const unitsOf = (parent: Collection<unknown> | Index<unknown>) =>
  "lookup" in parent ? [...parent.keys()] : parent.entries().map(([key]) => key);

function hasChanged(noted: Noted, result: BatchResult): boolean {
  switch (noted.kind) {
    case "key":
      return result.changesOf(noted.of).has(noted.key);
    case "group":
      return groupHasChanged(noted.of, noted.key, result);
    case "list":
      return result.changesOf(noted.of).size > 0;
    case "size": {
      const changes = [...result.changesOf(noted.of).values()];
      return changes.filter((each) => each.before === undefined).length !== changes.filter((each) => each.after === undefined).length;
    }
  }
}

/** Told from the entries that changed, by the same keys that the index uses. */
function groupHasChanged(index: Index<unknown>, indexKey: string, result: BatchResult): boolean {
  const keysOf = indexKeys[index.name]!;
  return [...result.changesOf(index.collection)].some(([key, { before, after }]) =>
    [before, after].some((value) => value !== undefined && keysOf(value as never, key).includes(indexKey)),
  );
}

const indexKeys: Record<string, (value: never, key: string) => readonly string[]> = {
  "upstreams.byNamespace": (each: Upstream) => [each.namespace],
  "upstreams.byLetter": (each: Upstream, key) => [key[0]!, each.secret],
  "hosts.byOwner": (owner: string, host) => [owner.slice(0, 2), host[0]!],
};

// What must not grow with the size of the rest: work counted in calls, memory in bytes. Microseconds are in bench/graph.ts.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { Graph } from "./mod.ts";

interface Upstream {
  readonly namespace: string;
  readonly secret: string;
}

function world() {
  const graph = new Graph();
  const calls = { equals: 0, keysOf: 0 };
  const secrets = graph.input<string>("secrets");
  const upstreams = graph.input<Upstream>("upstreams", {
    equals: (a, b) => {
      calls.equals++;
      return a.namespace === b.namespace && a.secret === b.secret;
    },
  });
  const byNamespace = upstreams.index("byNamespace", (each) => {
    calls.keysOf++;
    return [each.namespace];
  });
  const settings = graph.value("settings", (read) => read.get(secrets, "settings"));
  const clusters = graph.derive("clusters", upstreams, (each, _, read) => [read.get(secrets, each.secret), read.value(settings), each]);
  const hosts = graph.deriveMany("hosts", clusters, (_, key, read) => [[`${read.has(secrets, key)} ${key}`, key]]);
  const groups = graph.deriveGroups("groups", byNamespace, (key, entries, read) => `${entries.length} ${read.get(secrets, key)}`);
  graph.derive("neighbours", upstreams, (each, key, read) => `${key} ${read.lookup(byNamespace, each.namespace).length}`);
  return { graph, calls, secrets, upstreams, hosts, groups };
}

it("a batch costs what it changes, whatever else is there", () => {
  for (const size of [100, 10_000]) {
    const { graph, calls, secrets, upstreams } = world();
    graph.batch(() => {
      for (let n = 0; n < size; n++) upstreams.set(`u${n}`, { namespace: `n${n % (size / 5)}`, secret: `s${n}` });
    });
    Object.assign(calls, { equals: 0, keysOf: 0 });

    const edited = graph.batch(() => upstreams.set("u7", { namespace: "n7", secret: "other" }));
    expect(calls).toEqual({ equals: 1, keysOf: 2 });
    expect(Object.fromEntries([...edited.ran].map(([name, units]) => [name, units.length]))).toEqual({
      clusters: 1,
      hosts: 1,
      groups: 1,
      neighbours: 5,
    });
    const read = graph.batch(() => secrets.set("s9", "value"));
    expect(read.ran).toEqual(
      new Map([
        ["clusters", ["u9"]],
        ["hosts", ["u9"]],
      ]),
    );
    expect(calls).toEqual({ equals: 1, keysOf: 2 });
  }
});

it("keys that come and go leave nothing behind", () => {
  const { graph, upstreams, secrets, hosts, groups } = world();
  let next = 0;
  const comeAndGo = (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      const names = Array.from({ length: 100 }, () => `${next++}`);
      graph.batch(() => {
        for (const name of names) upstreams.set(name, { namespace: `n${name}`, secret: `s${name}` });
      });
      graph.batch(() => {
        for (const name of names) secrets.set(`s${name}`, name);
      });
      expect([hosts.size, groups.size]).toEqual([100, 100]);
      graph.batch(() => {
        for (const name of names) {
          upstreams.delete(name);
          secrets.delete(`s${name}`);
        }
      });
    }
  };
  upstreams.entries(); // the sorted list is maintained from here on, and must not pile up either
  comeAndGo(100);
  const before = heapBytes();
  comeAndGo(400);
  // 40,000 keys: a single forgotten edge for each would be more than 2 MB.
  expect(heapBytes() - before).toBeLessThan(1_000_000);
});

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

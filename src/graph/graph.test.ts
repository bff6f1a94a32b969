import { describe, expect, it, vi } from "vitest";
import { type Collection, Graph, GraphMisuse, type Read } from "./mod.ts";

interface Service {
  readonly namespace: string;
  readonly hosts: readonly string[];
}

const service = (namespace: string, ...hosts: string[]): Service => ({ namespace, hosts });

describe("a batch", () => {
  it("tells what changed, per collection and key", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const doubles = graph.derive("doubles", numbers, (n) => n * 2);
    graph.batch(() => {
      numbers.set("a", 1);
      numbers.set("b", 2);
    });

    const result = graph.batch(() => {
      numbers.set("a", 5);
      numbers.delete("b");
      numbers.set("c", 3);
    });

    expect(result.changesOf(doubles)).toEqual(
      new Map([
        ["a", { before: 2, after: 10 }],
        ["b", { before: 4 }],
        ["c", { after: 6 }],
      ]),
    );
    expect([...result.changes.keys()].map((each) => each.name)).toEqual(["numbers", "doubles"]);
    expect(result.ran).toEqual(new Map([["doubles", ["a", "c"]]]));
  });

  it("of a set and a delete of a new key is nothing", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const compute = vi.fn((n: number) => n);
    graph.derive("copies", numbers, compute);

    const result = graph.batch(() => {
      numbers.set("a", 1);
      numbers.delete("a");
    });

    expect(result.changes.size).toBe(0);
    expect(compute).not.toHaveBeenCalled();
  });

  it("that sets an equal value is nothing", () => {
    const graph = new Graph();
    const versions = graph.input<{ version: string }>("versions", { equals: (a, b) => a.version === b.version });
    const first = { version: "1" };
    graph.batch(() => versions.set("a", first));

    expect(graph.batch(() => versions.set("a", { version: "1" })).changes.size).toBe(0);
    expect(versions.get("a")).toBe(first);
  });

  it("whose function throws changes nothing", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    graph.batch(() => numbers.set("a", 1));

    expect(() =>
      graph.batch(() => {
        numbers.set("a", 2);
        throw new Error("half-way");
      }),
    ).toThrow("half-way");

    expect(graph.batch(() => {}).changes.size).toBe(0);
    expect(numbers.get("a")).toBe(1);
  });

  it("is seen by reads only when its function has returned", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    graph.batch(() => {
      numbers.set("a", 1);
      expect(numbers.get("a")).toBeUndefined();
    });
    expect(numbers.get("a")).toBe(1);
  });

  it("runs each key once, after everything it reads has settled", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const left = graph.derive("left", numbers, (n) => n + 1);
    const right = graph.derive("right", numbers, (n) => n * 10);
    const seen: string[] = [];
    graph.derive("both", left, (l, key, read) => seen.push(`${key}: ${l} ${read.get(right, key)}`));
    graph.batch(() => numbers.set("a", 1));
    graph.batch(() => numbers.set("a", 2));
    expect(seen).toEqual(["a: 2 10", "a: 3 20"]);
  });

  it("stops where a result is equal", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const parity = graph.derive("parity", numbers, (n) => ({ isOdd: n % 2 === 1 }), { equals: (a, b) => a.isOdd === b.isOdd });
    const after = vi.fn(() => true);
    graph.derive("after", parity, after);
    graph.batch(() => numbers.set("a", 1));
    const kept = parity.get("a");

    const result = graph.batch(() => numbers.set("a", 3));

    expect(after).toHaveBeenCalledTimes(1);
    expect(result).toMatchObject({ runs: 1, cutOff: 1 });
    expect(parity.get("a")).toBe(kept);
  });
});

describe("a read", () => {
  it("of a key makes its reader run when that key changes, and no other", () => {
    const graph = new Graph();
    const secrets = graph.input<string>("secrets");
    const names = graph.input<string>("names");
    const resolved = graph.derive("resolved", names, (name, _, read) => read.get(secrets, name) ?? "missing");
    graph.batch(() => {
      names.set("x", "one");
      names.set("y", "two");
      secrets.set("one", "1");
    });
    expect(resolved.entries()).toEqual([
      ["x", "1"],
      ["y", "missing"],
    ]);

    const result = graph.batch(() => {
      secrets.set("two", "2");
      secrets.set("three", "3");
    });

    expect(result.ran).toEqual(new Map([["resolved", ["y"]]]));
    expect(resolved.get("y")).toBe("2");
  });

  it("that is no longer made no longer counts", () => {
    const graph = new Graph();
    const secrets = graph.input<string>("secrets");
    const names = graph.input<string>("names");
    graph.derive("resolved", names, (name, _, read) => read.get(secrets, name));
    graph.batch(() => names.set("x", "one"));
    graph.batch(() => names.set("x", "two"));

    expect(graph.batch(() => secrets.set("one", "1")).runs).toBe(0);
    expect(graph.batch(() => secrets.set("two", "2")).runs).toBe(1);
    graph.batch(() => names.delete("x"));
    expect(graph.batch(() => secrets.set("two", "3")).runs).toBe(0);
  });

  it("of an index key makes its reader run when the group or a member changes", () => {
    const graph = new Graph();
    const services = graph.input<Service>("services");
    const byHost = services.index("byHost", (each) => each.hosts);
    const questions = graph.input<string>("questions");
    const answers = graph.derive("answers", questions, (host, _, read) =>
      read
        .lookup(byHost, host)
        .map(([key]) => key)
        .join(),
    );
    graph.batch(() => {
      questions.set("q", "a.com");
      services.set("s2", service("x", "a.com", "b.com"));
      services.set("s1", service("x", "a.com"));
    });
    expect(answers.get("q")).toBe("s1,s2");

    expect(graph.batch(() => services.set("s3", service("x", "b.com"))).runs).toBe(0);
    expect(graph.batch(() => services.set("s2", service("x", "b.com"))).runs).toBe(1);
    expect(answers.get("q")).toBe("s1");
    graph.batch(() => services.set("s4", service("x", "a.com", "a.com")));
    expect(answers.get("q")).toBe("s1,s4");
    graph.batch(() => services.delete("s1"));
    graph.batch(() => services.delete("s4"));
    expect(answers.get("q")).toBe("");
    expect([...byHost.keys()]).toEqual(["b.com"]);
  });

  it("of the size makes its reader run when the size changes, of the list when anything does", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const count = graph.value("count", (read) => read.size(numbers));
    const sum = graph.value("sum", (read) => read.list(numbers).reduce((total, [, n]) => total + n, 0));
    graph.batch(() => {
      numbers.set("a", 1);
      numbers.set("b", 2);
    });
    expect([count.value, sum.value]).toEqual([2, 3]);

    expect(graph.batch(() => numbers.set("a", 5)).ran).toEqual(new Map([["sum", [""]]]));
    const swapped = graph.batch(() => {
      numbers.delete("a");
      numbers.set("c", 1);
    });
    expect(swapped.ran).toEqual(new Map([["sum", [""]]]));
    expect(graph.batch(() => numbers.delete("b")).ran.size).toBe(2);
    expect([count.value, sum.value]).toEqual([1, 1]);
  });

  it("of a single value makes its reader run when the value changes", () => {
    const graph = new Graph();
    const settings = graph.input<{ prefix: string; unrelated: number }>("settings");
    const prefix = graph.value("prefix", (read) => read.get(settings, "default")?.prefix ?? "none");
    const names = graph.input<string>("names");
    const full = graph.derive("full", names, (name, _, read) => `${read.value(prefix)}-${name}`);
    graph.batch(() => {
      names.set("x", "one");
      settings.set("default", { prefix: "p", unrelated: 1 });
    });
    expect(full.get("x")).toBe("p-one");
    expect(graph.batch(() => settings.set("default", { prefix: "p", unrelated: 2 })).ran).toEqual(new Map([["prefix", [""]]]));
    graph.batch(() => settings.delete("default"));
    expect(full.get("x")).toBe("none-one");
  });

  it("of a collection created later is refused, with both names", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const early: Collection<number> = graph.derive("early", numbers, (n, key, read) => n + (read.get(late, key) ?? 0));
    const late: Collection<number> = graph.derive("late", numbers, (n) => n);

    const { failures } = graph.batch(() => numbers.set("a", 1));

    expect(failures).toMatchObject([{ collection: "early", key: "a", error: expect.any(GraphMisuse) }]);
    expect(String(failures[0]?.error)).toContain('"early" reads "late", which was not created before it');
    expect([early.get("a"), late.get("a")]).toEqual([undefined, 1]);
  });

  it("past the graph, or after the function has ended, is refused", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    let kept: Read | undefined;
    graph.derive("untracked", numbers, (_, key, read) => {
      kept = read;
      return numbers.get(key);
    });
    const { failures } = graph.batch(() => numbers.set("a", 1));
    expect(String(failures[0]?.error)).toContain('the function of "untracked" uses "numbers".get, which is not remembered');
    expect(() => kept?.get(numbers, "a")).toThrow('"numbers" was read after the function');
    expect(() => new Graph().derive("stranger", numbers, (n) => n)).toThrow('"numbers" belongs to another graph');
  });
});

describe("deriveMany", () => {
  const build = () => {
    const graph = new Graph();
    const services = graph.input<Service>("services");
    const hosts = graph.deriveMany("hosts", services, (each, key) => each.hosts.map((host) => [host, key] as const));
    return { graph, services, hosts };
  };

  it("gives each parent's entries under their own keys", () => {
    const { graph, services, hosts } = build();
    graph.batch(() => services.set("s", service("x", "b", "a")));
    expect(hosts.entries()).toEqual([
      ["a", "s"],
      ["b", "s"],
    ]);
    graph.batch(() => services.set("s", service("x", "b", "c")));
    expect(hosts.entries().map(([key]) => key)).toEqual(["b", "c"]);
    graph.batch(() => services.delete("s"));
    expect(hosts.size).toBe(0);
  });

  it("of one key from several parents takes the lowest parent, and the next one when that goes", () => {
    const { graph, services, hosts } = build();
    graph.batch(() => services.set("m", service("x", "h")));
    graph.batch(() => services.set("z", service("x", "h")));
    expect(hosts.get("h")).toBe("m");
    graph.batch(() => services.set("a", service("x", "h")));
    expect(hosts.get("h")).toBe("a");
    graph.batch(() => services.set("a", service("x", "other")));
    expect(hosts.get("h")).toBe("m");
    expect(graph.batch(() => services.delete("m")).changesOf(hosts)).toEqual(new Map([["h", { before: "m", after: "z" }]]));
    expect(graph.explain(hosts, "h").runs.map((run) => run.from?.key)).toEqual(["z"]);
  });

  it("of one key twice from one parent takes the first", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const many = graph.deriveMany("many", numbers, function* (n) {
      yield ["k", n];
      yield ["k", n + 1];
    });
    graph.batch(() => numbers.set("a", 1));
    expect(many.get("k")).toBe(1);
  });

  it("remembers what a generator reads while it yields", () => {
    const graph = new Graph();
    const extra = graph.input<number>("extra");
    const numbers = graph.input<number>("numbers");
    const many = graph.deriveMany("many", numbers, function* (n, key, read) {
      yield [`${key}1`, n];
      yield [`${key}2`, read.get(extra, "e") ?? 0];
    });
    graph.batch(() => numbers.set("a", 1));
    graph.batch(() => extra.set("e", 7));
    expect(many.get("a2")).toBe(7);
  });
});

describe("deriveGroups", () => {
  it("gives one value per index key, from its entries in key order", () => {
    const graph = new Graph();
    const services = graph.input<Service>("services");
    const byNamespace = services.index("byNamespace", (each) => [each.namespace]);
    const members = graph.deriveGroups("members", byNamespace, (namespace, entries) =>
      namespace === "hidden" ? undefined : entries.map(([key]) => key).join(),
    );
    graph.batch(() => {
      services.set("b", service("x"));
      services.set("a", service("x"));
      services.set("c", service("y"));
      services.set("d", service("hidden"));
    });
    expect(members.entries()).toEqual([
      ["x", "a,b"],
      ["y", "c"],
    ]);
    const moved = graph.batch(() => services.set("c", service("x")));
    expect(moved.ran).toEqual(new Map([["members", ["x"]]]));
    expect(members.entries()).toEqual([["x", "a,b,c"]]);
  });
});

describe("a function that throws", () => {
  it("costs its key, which recovers when what it read changes", () => {
    const graph = new Graph();
    const divisors = graph.input<number>("divisors");
    const numbers = graph.input<number>("numbers");
    const shares = graph.derive("shares", numbers, (n, key, read) => {
      const divisor = read.get(divisors, key);
      if (divisor === 0) throw new Error("division by zero");
      return n / (divisor ?? 1);
    });
    const seen = graph.derive("seen", shares, (n) => n);
    graph.batch(() => {
      numbers.set("a", 6);
      numbers.set("b", 8);
    });

    const result = graph.batch(() => {
      divisors.set("a", 0);
      divisors.set("b", 2);
    });

    expect(result.failures).toEqual([{ collection: "shares", key: "a", error: new Error("division by zero") }]);
    expect(seen.entries()).toEqual([["b", 4]]);
    expect(graph.explain(shares, "a").runs[0]?.error).toEqual(new Error("division by zero"));
    graph.batch(() => divisors.set("a", 3));
    expect(shares.get("a")).toBe(2);
    expect(graph.explain(shares, "a").runs[0]).not.toHaveProperty("error");
  });

  it("may be replaced by onError, whose own error is a failure too", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const fail = (n: number): number => {
      throw new Error(`bad ${n}`);
    };
    const replaced = graph.derive("replaced", numbers, fail, { onError: (key, error) => key.length + String(error).length });
    const many = graph.deriveMany("many", numbers, (n) => [["k", fail(n)]], { onError: () => [["instead", -1]] });
    const worse = graph.derive("worse", numbers, fail, { onError: (_, error) => fail(String(error).length) });

    const { failures } = graph.batch(() => numbers.set("a", 1));

    expect([replaced.get("a"), many.get("instead"), worse.get("a")]).toEqual([13, -1, undefined]);
    expect(failures.map((each) => each.collection)).toEqual(["replaced", "many", "worse", "worse"]);
  });

  it("for a single value is thrown at its readers, until it recovers", () => {
    const graph = new Graph();
    const input = graph.input<number>("input");
    const single = graph.value("single", (read) => {
      const n = read.get(input, "n") ?? 0;
      if (n < 0) throw new Error(`negative: ${n}`);
      return n === 0 ? undefined : n;
    });
    const names = graph.input<string>("names");
    const reader = graph.derive("reader", names, (name, _, read) => `${name} ${read.value(single)}`, {
      onError: (_, error) => String((error as Error).cause),
    });
    graph.batch(() => names.set("x", "one"));
    expect(reader.get("x")).toBe("one undefined");
    for (const [n, answer] of [
      [-1, "Error: negative: -1"],
      [-2, "Error: negative: -2"],
      [0, "one undefined"],
      [-1, "Error: negative: -1"],
      [5, "one 5"],
    ] as const) {
      graph.batch(() => input.set("n", n));
      expect(reader.get("x")).toBe(answer);
    }
    graph.batch(() => input.set("n", -1));
    expect(() => single.value).toThrow('"single" has no value');
  });

  it("for an index leaves the entry out of the index", () => {
    const graph = new Graph();
    const services = graph.input<Service>("services");
    const index = services.index("byHost", (each) => {
      if (each.namespace === "bad") throw new Error("no");
      return each.hosts;
    });
    const { failures } = graph.batch(() => {
      services.set("a", service("bad", "h"));
      services.set("b", service("good", "h"));
    });
    expect(failures).toMatchObject([{ collection: "services.byHost", key: "a" }]);
    expect(index.lookup("h").map(([key]) => key)).toEqual(["b"]);
    graph.batch(() => services.set("a", service("good", "h")));
    graph.batch(() => services.set("b", service("bad", "h")));
    expect(index.lookup("h").map(([key]) => key)).toEqual(["a"]);
  });

  it("when comparing counts as a change", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers", {
      equals: () => {
        throw new Error("incomparable");
      },
    });
    graph.batch(() => numbers.set("a", 1));
    const result = graph.batch(() => numbers.set("a", 2));
    expect(numbers.get("a")).toBe(2);
    expect(result.failures).toMatchObject([{ collection: "numbers", key: "a" }]);
  });
});

describe("a collection created late", () => {
  it("is filled at once from what is there, indexes too, and its failures are in the next batch", () => {
    const graph = new Graph();
    const services = graph.input<Service>("services");
    graph.batch(() => {
      services.set("a", service("x", "h"));
      services.set("b", service("y", "h"));
    });
    const byNamespace = services.index("byNamespace", (each) => [each.namespace]);
    const groups = graph.deriveGroups("groups", byNamespace, (_, entries) => entries.length);
    const failing = graph.derive("failing", services, () => {
      throw new Error("always");
    });
    expect(groups.entries()).toEqual([
      ["x", 1],
      ["y", 1],
    ]);
    expect(failing.size).toBe(0);
    const result = graph.batch(() => {});
    expect(result.failures).toHaveLength(2);
    expect(result.runs).toBe(0);
  });
});

describe("observers", () => {
  it("are told once everything has settled, in the order in which collections were created", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const doubles = graph.derive("doubles", numbers, (n) => n * 2);
    const told: unknown[] = [];
    graph.observe(doubles, (changes) => told.push(["doubles", ...changes]));
    const stop = graph.observe(numbers, (changes) => told.push(["numbers", ...changes, doubles.get("a")]));
    graph.batch(() => numbers.set("a", 1));
    expect(told).toEqual([
      ["numbers", ["a", { after: 1 }], 2],
      ["doubles", ["a", { after: 2 }]],
    ]);
    stop();
    told.length = 0;
    graph.batch(() => numbers.set("a", 1));
    expect(told).toEqual([]);
    graph.batch(() => numbers.set("a", 2));
    expect(told).toHaveLength(1);
  });

  it("queue further batches with afterwards, and all of them run", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const told: number[] = [];
    graph.observe(numbers, (changes) => {
      for (const { after } of changes.values()) {
        told.push(after!);
        if (after! < 3) graph.afterwards(() => graph.batch(() => numbers.set("a", after! + 1)));
      }
    });
    graph.batch(() => numbers.set("a", 1));
    expect(told).toEqual([1, 2, 3]);
    graph.afterwards(() => graph.batch(() => numbers.set("a", 9)));
    expect(numbers.get("a")).toBe(9);
  });

  it("that throw keep nobody from being told, and the batch throws it afterwards", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const told = vi.fn();
    const fail = (message: string) => () => {
      throw new Error(message);
    };
    const stop = graph.observe(numbers, fail("first"));
    graph.observe(numbers, told);
    expect(() => graph.batch(() => numbers.set("a", 1))).toThrow("first");
    expect(told).toHaveBeenCalledTimes(1);
    graph.observe(numbers, fail("second"));
    expect(() => graph.batch(() => numbers.set("a", 2))).toThrow(AggregateError);
    stop();
    expect(numbers.get("a")).toBe(2);
  });

  it("that throw cost who began the batch nothing where somebody else is told of faults", () => {
    const onFault = vi.fn();
    const graph = new Graph({ onFault });
    const numbers = graph.input<number>("numbers");
    graph.observe(numbers, () => {
      throw new Error("deaf");
    });
    expect(
      graph
        .batch(() => numbers.set("a", 1))
        .changesOf(numbers)
        .get("a"),
    ).toEqual({ after: 1 });
    expect(onFault).toHaveBeenCalledExactlyOnceWith(new Error("deaf"));
  });
});

describe("misuse", () => {
  it("as a batch within a batch, a function or an observer is refused", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    const again = () => graph.batch(() => {});
    expect(() => graph.batch(again)).toThrow("a batch was started while another batch is editing");
    graph.derive("starts", numbers, again);
    const { failures } = graph.batch(() => numbers.set("a", 1));
    expect(String(failures[0]?.error)).toContain("while another batch is settling");
    graph.observe(numbers, again);
    expect(() => graph.batch(() => numbers.set("a", 2))).toThrow("graph.afterwards");
  });

  it("as an edit outside of a batch, undefined as a value, a name used twice or a collection made in a batch is refused", () => {
    const graph = new Graph();
    const numbers = graph.input<number>("numbers");
    expect(() => numbers.set("a", 1)).toThrow('"numbers" was edited outside');
    expect(() => graph.batch(() => numbers.set("a", undefined as unknown as number))).toThrow("use delete");
    expect(() => graph.input("numbers")).toThrow('two collections named "numbers"');
    expect(() => graph.batch(() => graph.input("other"))).toThrow('collection "other" was created while');
    expect(() => graph.batch(() => numbers.index("i", () => []))).toThrow('index "i" of "numbers" was created while');
    expect(graph.collections.map((each) => each.name)).toEqual(["numbers"]);
  });
});

describe("explain", () => {
  it("names what was read and which change caused the last run", () => {
    const graph = new Graph();
    const secrets = graph.input<string>("secrets");
    const services = graph.input<Service>("services");
    const byNamespace = services.index("byNamespace", (each) => [each.namespace]);
    const count = graph.value("count", (read) => read.size(secrets));
    const clusters = graph.derive("clusters", services, (each, _, read) => {
      const neighbours = read.lookup(byNamespace, each.namespace).length;
      return `${read.get(secrets, each.hosts[0]!)} ${neighbours} ${read.has(secrets, each.hosts[0]!)} ${read.value(count)}`;
    });
    const from = { kind: "get", name: "services", key: "a" };
    const secret = { kind: "get", name: "secrets", key: "h" };
    const reads = [{ kind: "lookup", name: "services.byNamespace", key: "x" }, secret, { kind: "value", name: "count" }];

    graph.batch(() => services.set("a", service("x", "h")));
    expect(graph.explain(clusters, "a")).toMatchObject({ collection: "clusters", key: "a", exists: true, runs: [{ from, reads }] });
    graph.batch(() => secrets.set("h", "s"));
    expect(graph.explain(clusters, "a").runs).toEqual([{ from, reads, cause: secret }]);
    graph.batch(() => services.set("b", service("x", "i")));
    expect(graph.explain(clusters, "a").runs[0]?.cause).toEqual(reads[0]);
    graph.batch(() => services.set("a", service("x", "h", "j")));
    expect(graph.explain(clusters, "a").runs[0]?.cause).toEqual(from);
    expect(graph.explain(services, "a")).toEqual({ collection: "services", key: "a", exists: true, runs: [] });
    expect(graph.explain(clusters, "gone")).toMatchObject({ exists: false, runs: [] });
    expect(graph.explain(count, "").runs).toEqual([
      { reads: [{ kind: "size", name: "secrets" }], cause: { kind: "size", name: "secrets" } },
    ]);
  });
});

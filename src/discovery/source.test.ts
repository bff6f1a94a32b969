import { setTimeout as delay } from "node:timers/promises";
import { clone, create, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { Latest } from "../lib/latest.ts";
import { bestOfThree } from "../lib/testing/bestOf.ts";
import { eventually } from "../lib/testing/eventually.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { DiscoveredUpstream, EdgeContext } from "../plugin/upstream-type.ts";
import { type DiscoveryOptions, discoverySource } from "./source.ts";

const key = (name: string) => resourceKey("Upstream", { namespace: "gloo-system", name });

function found(name: string, consul: JsonObject = {}, others: Partial<DiscoveredUpstream> = {}): DiscoveredUpstream {
  const spec = fromJson(UpstreamSchema, { consul: { serviceName: name, ...consul } });
  return { ref: { namespace: "gloo-system", name }, labels: { discovered_by: "consulplugin" }, spec, ...others };
}

/** A source over one type that says what it is told to, and what came of it. */
class Story implements AsyncDisposable {
  readonly held = new Map<string, Resource>();
  batches = 0;
  readonly source: ReturnType<typeof discoverySource>;
  settings = create(SettingsSchema);
  runs = 0;
  #ended = new AbortController();
  #said: Latest<string, readonly DiscoveredUpstream[] | Error> | undefined;
  #running: Promise<void>;

  constructor(options: Partial<DiscoveryOptions> = {}) {
    const story = this;
    const nothing = () => undefined;
    this.source = discoverySource({
      types: [
        { kind: "static" },
        {
          kind: "consul",
          async *discover({ signal }: EdgeContext) {
            story.runs++;
            story.#said = new Latest(signal);
            for await (const each of story.#said) {
              if (each instanceof Error) throw each;
              yield each;
            }
          },
        },
      ],
      contextOf: (_, signal) => ({
        signal,
        settings: () => this.settings,
        secret: nothing,
        report: nothing,
        log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
      }),
      patienceMs: 200,
      ...options,
    });
    this.#running = this.#follow();
  }

  say(...list: DiscoveredUpstream[]): void {
    this.#said?.put(String(Math.random()), list);
  }

  fail(): void {
    this.#said?.put("error", new Error("boom"));
  }

  get names(): string[] {
    return [...this.held.values()].map(({ ref }) => ref.name).sort();
  }

  json(name: string): unknown {
    const resource = this.held.get(key(name)) as Resource<"Upstream"> | undefined;
    return resource?.spec && toJson(UpstreamSchema, resource.spec);
  }

  async #follow(): Promise<void> {
    for await (const { changes } of this.source.watch(this.#ended.signal)) {
      this.batches++;
      for (const change of changes) {
        if (change.kind === "apply") this.held.set(change.resource.key, change.resource);
        else if (change.kind === "delete") this.held.delete(change.key);
        else {
          this.held.clear();
          for (const resource of change.resources) this.held.set(resource.key, resource);
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }
}

test("what is found is there with its labels, and what vanishes is gone; the same list again is no change", async () => {
  await using story = new Story();
  story.say(found("a"), found("b"));
  await eventually(() => story.names, ["a", "b"]);
  const a = story.held.get(key("a"));
  expect([a?.labels, a?.origin, a?.problems]).toEqual([{ discovered_by: "consulplugin" }, { source: "discovery" }, []]);
  const { batches } = story;
  story.say(found("a"), found("b"));
  await delay(50);
  expect(story.batches).toBe(batches);
  story.say(found("b"));
  await eventually(() => story.names, ["b"]);
  story.say();
  await eventually(() => story.names, []);
});

test("the first batch does not wait for long", bestOfThree, async () => {
  await using story = new Story();
  const took = await eventually(() => story.batches, 1);
  expect(took).toBeGreaterThan(150);
  expect(took).toBeLessThan(1500);
});

test("what users and discovery of functions changed stays when there is news", async () => {
  await using story = new Story();
  story.say(found("a", { serviceTags: ["v1"] }));
  await eventually(() => story.names, ["a"]);
  const edited = story.source.edit(key("a"), (spec) => {
    const next = clone(UpstreamSchema, spec);
    next.useHttp2 = true;
    return next;
  });
  expect(edited).toBe(true);
  await eventually(() => story.json("a"), { consul: { serviceName: "a", serviceTags: ["v1"] }, useHttp2: true });
  story.say(found("a", { serviceTags: ["v2"] }));
  await eventually(() => story.json("a"), { consul: { serviceName: "a", serviceTags: ["v2"] }, useHttp2: true });
  expect(story.source.edit(key("nobody"), (spec) => spec)).toBe(false);
});

test("a name that somebody else has is theirs", async () => {
  const taken = new Set<string>([key("a")]);
  await using story = new Story({ isTaken: (each) => taken.has(each) });
  story.say(found("a"), found("b"));
  await eventually(() => story.names, ["b"]);
  taken.clear();
  story.source.restart();
  await eventually(() => story.runs, 2);
  story.say(found("a"), found("b"));
  await eventually(() => story.names, ["a", "b"]);
});

test("where discovery is off, only what routes imply is there, and it is nobody's to edit", async () => {
  await using story = new Story();
  story.settings = fromJson(SettingsSchema, { discovery: { udsOptions: { enabled: false } } });
  story.say(found("a"), found("consul-svc:a", {}, { labels: {}, isImplied: true }));
  await eventually(() => story.names, ["consul-svc:a"]);
  expect(story.held.get(key("consul-svc:a"))?.origin).toEqual({ source: "memory" });
  expect(story.source.edit(key("consul-svc:a"), (spec) => spec)).toBe(false);
});

const six = ["a", "b", "c", "d", "e", "f"];

test("a discover() that throws is run again; a first list that lacks most of what was there is held", async () => {
  await using story = new Story({ holdMs: 2_000 });
  story.say(...six.map((name) => found(name)));
  await eventually(() => story.names, six);
  story.fail();
  await eventually(() => story.runs, 2);
  story.say(found("a"));
  await delay(200);
  expect(story.names).toEqual(six);
  await eventually(() => story.names, ["a"]);
});

test("what was in service before a restart stays until discovery has a list that can be believed", async () => {
  let remembered: Resource<"Upstream">[] = [];
  {
    await using before = new Story();
    before.say(...six.map((name) => found(name)));
    await eventually(() => before.names, six);
    remembered = [...before.held.values()] as Resource<"Upstream">[];
  }
  await using story = new Story({ remembered, holdMs: 60_000 });
  await eventually(() => story.names, six);
  story.say();
  await delay(100);
  expect(story.names).toEqual(six);
  story.say(...six.slice(1).map((name) => found(name)), found("g"));
  await eventually(() => story.names, [...six.slice(1), "g"]);
});

test("a first answer that there is nothing takes nothing away, be it ever so little, and Settings that come later start over", async () => {
  let remembered: Resource<"Upstream">[] = [];
  {
    await using before = new Story();
    before.say(found("a"));
    await eventually(() => before.names, ["a"]);
    remembered = [...before.held.values()] as Resource<"Upstream">[];
  }
  await using story = new Story({ remembered });
  story.say();
  await eventually(() => story.names, ["a"]);
  story.source.restart();
  await eventually(() => story.runs, 2);
  story.say(found("a"), found("b"));
  await eventually(() => story.names, ["a", "b"]);
});

test("nothing is asked, and nothing said, before the other sources have spoken", async () => {
  const others = Promise.withResolvers<void>();
  await using story = new Story({ startsAfter: others.promise });
  await delay(300);
  expect([story.runs, story.batches]).toEqual([0, 0]);
  others.resolve();
  await eventually(() => story.runs, 1);
  story.say(found("a"));
  await eventually(() => story.names, ["a"]);
});

test("nobody is asked for a configuration that is read once", async () => {
  await using story = new Story();
  expect(await story.source.read()).toEqual({ changes: [{ kind: "reset", resources: [] }] });
});

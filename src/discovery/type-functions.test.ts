// The runner of the types' own discovery: whom a hook is given, when it is called, and what becomes of what it yields.
import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { Latest } from "../lib/latest.ts";
import { eventually } from "../lib/testing/eventually.ts";
import type { Report } from "../model/problem.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import type { AnyUpstreamType, UpstreamOf, UpstreamWatch } from "../plugin/upstream-type.ts";
import { functionLabel } from "./function-plan.ts";
import { discoverTypeFunctions } from "./type-functions.ts";

const stories: AbortController[] = [];
afterEach(() => {
  for (const each of stories.splice(0)) each.abort();
});

function upstream(name: string, spec: JsonObject = { aws: {} }, labels: Record<string, string> = {}): Resource<"Upstream"> {
  const ref = { namespace: "gloo-system", name };
  const key = resourceKey("Upstream", ref);
  const origin = { source: "memory" } as const;
  return { kind: "Upstream", key, ref, labels, annotations: {}, spec: fromJson(UpstreamSchema, spec), version: "1", problems: [], origin };
}

const disabled = { [functionLabel]: "disabled" };
const enabled = { [functionLabel]: "enabled" };
const lambdas = (name: string) => ({ aws: { lambdaFunctions: [{ lambdaFunctionName: name }] } });

type Hook = NonNullable<AnyUpstreamType["functions"]>;

function story(hook: Hook) {
  const ended = new AbortController();
  stories.push(ended);
  const lists = new Latest<string, readonly Resource<"Upstream">[]>(ended.signal);
  const current: { settings: Spec<"Settings"> } = { settings: create(SettingsSchema) };
  const nothing = () => undefined;
  const errors: string[] = [];
  const log = { debug: nothing, info: nothing, warn: nothing, error: (_fields: object, message: string) => void errors.push(message) };
  const reports: Report[] = [];
  const type: AnyUpstreamType = { kind: "aws", cluster: nothing, functions: hook };
  const found: string[] = [];
  void (async () => {
    for await (const { key, spec } of discoverTypeFunctions({
      upstreams: lists,
      types: [type, { kind: "static", cluster: nothing }],
      typed: ({ key, ref, spec }) => {
        if (ref.name === "boom") throw new Error("boom");
        return spec && { type, upstream: { key, ref, name: ref.name, spec: spec.upstreamType.value, upstream: spec } };
      },
      settings: () => current.settings,
      namespaceLabels: nothing,
      contextOf: (_, signal) => ({
        signal,
        settings: () => current.settings,
        secret: nothing,
        report: (report) => void reports.push(report),
        log,
      }),
      log,
      signal: ended.signal,
    }))
      found.push(`${key.split("/").at(-1)} ${spec === undefined ? "gone" : "found"}`);
  })();
  return { say: (...list: Resource<"Upstream">[]) => lists.put("list", list), current, found, errors, reports };
}

/** A hook that notes what it was given, and finds something for each. */
function noting() {
  const given: string[][] = [];
  const calls = { begun: 0, ended: 0 };
  async function* hook(upstreams: UpstreamWatch<UpstreamOf<unknown>>) {
    calls.begun++;
    try {
      for await (const list of upstreams) {
        given.push(list.map(({ ref }) => ref.name));
        for (const { key } of list) yield { key, spec: create(UpstreamSchema) };
      }
    } finally {
      calls.ended++;
    }
  }
  return { given, calls, hook };
}

test("a hook gets the Upstreams of its kind that are chosen, and is called while there are any", async () => {
  const { given, calls, hook } = noting();
  const { say, found } = story(hook);
  say(upstream("a", { static: {} }), upstream("b", { aws: {} }, disabled), upstream("c", lambdas("x")));
  say(upstream("a"), upstream("b", { aws: {} }, disabled), upstream("c", lambdas("x"), enabled));
  await eventually(() => given, [["a", "c"]]);
  await eventually(() => found, ["a found", "c found"]);
  expect(calls).toEqual({ begun: 1, ended: 0 });
  say();
  await eventually(() => found, ["a found", "c found", "a gone", "c gone"]);
  await eventually(() => calls, { begun: 1, ended: 1 });
  say(upstream("a"));
  await eventually(() => calls.begun, 2);
});

test("who is not asked any more keeps what was found, and its findings go", async () => {
  const { given, calls, hook } = noting();
  const { say, found, reports } = story(hook);
  say(upstream("a"), upstream("b"));
  await eventually(() => found, ["a found", "b found"]);
  say(upstream("a", { aws: {} }, disabled), upstream("b"));
  await eventually(() => given.at(-1), ["b"]);
  expect(found.filter((each) => each.startsWith("a"))).toEqual(["a found"]);
  expect(reports.map(({ resource, problems }) => [resource, problems])).toEqual([[upstream("a").key, []]]);
  say(upstream("b"));
  await eventually(() => found.includes("a gone"), true);
  expect(calls).toEqual({ begun: 1, ended: 0 });
});

test("Settings that change end the hook and call it anew; switched off, it is called no more", async () => {
  const { calls, hook } = noting();
  const { say, current } = story(hook);
  say(upstream("a"));
  await eventually(() => calls.begun, 1);
  current.settings = fromJson(SettingsSchema, { discovery: { fdsMode: "WHITELIST" } });
  say(upstream("a"));
  await eventually(() => calls, { begun: 2, ended: 1 });
  current.settings = fromJson(SettingsSchema, { discovery: { fdsMode: "DISABLED" } });
  say(upstream("a"));
  await eventually(() => calls, { begun: 2, ended: 2 });
});

test("a hook that fails is called again; what it yields late for an Upstream that is gone is left out", async () => {
  let calls = 0;
  const { say, errors, found } = story(async function* () {
    calls++;
    if (calls === 1) throw new Error("broken");
    yield { key: upstream("stranger").key, spec: create(UpstreamSchema) };
    yield { key: upstream("a").key, spec: create(UpstreamSchema) };
  });
  say(upstream("a"));
  await eventually(() => found, ["a found"]);
  expect(errors).toEqual(["discovery of functions failed; what was found stays in service"]);
});

test("an Upstream that its type fails on is asked nothing; its neighbours are, then and later", async () => {
  const { say, found, errors } = story(noting().hook);
  say(upstream("boom"), upstream("a"));
  await eventually(() => found, ["a found"]);
  say(upstream("boom"), upstream("a"), upstream("b"));
  await eventually(() => found.includes("b found"), true);
  expect(errors).toEqual([]);
});

test("a list that cannot be read ends discovery with a word in the log, and nothing else", async () => {
  const { say, errors } = story(noting().hook);
  say(undefined as never);
  await eventually(() => errors, ["discovery of functions by types ended; what was found stays"]);
});

// The runner against real servers, and its pure parts.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { create, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { swagger } from "../functions/swagger/swagger.ts";
import { ServiceSpecSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { Latest } from "../lib/latest.ts";
import { addressFault } from "../lib/probe-address.ts";
import { bestOf } from "../lib/testing/bestOf.ts";
import { eventually } from "../lib/testing/eventually.ts";
import type { Report } from "../model/problem.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { FunctionKind } from "../plugin/function-kind.ts";
import { functionLabel, functionPlan, isAskedByType, isChosen } from "./function-plan.ts";
import { AddressRefused, functionTarget } from "./function-target.ts";
import { discoverFunctions, type FunctionUpstream } from "./functions.ts";
import { FunctionOverlay, type FunctionsFound, withFunctions } from "./overlay.ts";

function upstream(spec: JsonObject, labels: Record<string, string> = {}, namespace = "gloo-system"): Resource<"Upstream"> {
  const ref = { namespace, name: "till" };
  return {
    kind: "Upstream",
    key: resourceKey("Upstream", ref),
    ref,
    labels,
    annotations: {},
    spec: fromJson(UpstreamSchema, spec),
    version: "1",
    problems: [],
    origin: { source: "memory" },
  };
}

const at = (port: number, serviceSpec?: JsonObject): JsonObject => ({
  static: { hosts: [{ addr: "127.0.0.1", port }], ...(serviceSpec && { serviceSpec }) },
});
const settings = (fdsMode?: string) => fromJson(SettingsSchema, fdsMode === undefined ? {} : { discovery: { fdsMode } });
const enabled = { [functionLabel]: "enabled" };
const disabled = { [functionLabel]: "disabled" };

test.each([
  // mode, labels of the Upstream, its namespace, labels of that, chosen
  [undefined, {}, "shop", {}, false],
  ["WHITELIST", enabled, "shop", {}, true],
  ["WHITELIST", {}, "shop", enabled, true],
  ["WHITELIST", disabled, "shop", enabled, false],
  ["BLACKLIST", {}, "shop", {}, true],
  ["BLACKLIST", disabled, "shop", {}, false],
  ["BLACKLIST", {}, "shop", disabled, false],
  ["BLACKLIST", enabled, "shop", disabled, true],
  ["BLACKLIST", {}, "kube-system", {}, false],
  ["BLACKLIST", {}, "kube-public", enabled, true],
  ["DISABLED", enabled, "shop", enabled, false],
] as const)("mode %s, Upstream %j in %s %j: chosen %s", (mode, labels, namespace, there, chosen) => {
  const plan = functionPlan(upstream(at(1), labels, namespace), settings(mode), [swagger], (name) =>
    name === namespace ? there : undefined,
  );
  expect(plan !== undefined).toBe(chosen);
});

test("AWS is asked unless it is forbidden; labels of the Service count, and the namespace is the Service's", () => {
  const none = () => undefined;
  const mode = settings("WHITELIST").discovery?.fdsMode as number;
  expect(isChosen(upstream({ aws: {} }), mode, none)).toBe(true);
  expect(isChosen(upstream({ aws: {} }, disabled), mode, none)).toBe(false);
  expect(isChosen(upstream({ ...at(1), discoveryMetadata: { labels: enabled } }), mode, none)).toBe(true);
  // What the Service forbids, a label of the Upstream allows only where others have to be allowed, too.
  const [both, closed] = [
    upstream({ ...at(1), discoveryMetadata: { labels: disabled } }, enabled),
    settings("BLACKLIST").discovery?.fdsMode,
  ];
  expect([isChosen(both, mode, none), isChosen(both, closed as number, none)]).toEqual([true, false]);
  const kube = upstream({ kube: { serviceName: "a", serviceNamespace: "far" } });
  expect(isChosen(kube, mode, (name) => (name === "far" ? enabled : undefined))).toBe(true);
});

test("an Upstream that lists Lambda functions has those; its label asks for more, and what the user wrote comes first", () => {
  const lambdas = (...names: string[]) => ({
    aws: { lambdaFunctions: names.map((name) => ({ lambdaFunctionName: name, qualifier: "mine" })) },
  });
  const asked = (spec: JsonObject, labels = {}) => isAskedByType(upstream(spec, labels), settings("BLACKLIST"), () => undefined);
  expect([asked({ aws: {} }), asked(lambdas("a")), asked(lambdas("a"), enabled), asked({ aws: {} }, disabled)]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  const found = fromJson(UpstreamSchema, {
    aws: { region: "other", lambdaFunctions: ["a", "b"].map((name) => ({ logicalName: name, lambdaFunctionName: name, qualifier: "1" })) },
  });
  const together = (spec: JsonObject, labels = {}) => {
    const type = withFunctions(upstream(spec, labels), found).spec?.upstreamType;
    return (
      type?.case === "aws" && [type.value.region, ...type.value.lambdaFunctions.map((each) => each.lambdaFunctionName + each.qualifier)]
    );
  };
  expect(together({ aws: { region: "own" } })).toEqual(["own", "a1", "b1"]);
  expect(together(lambdas("a"))).toEqual(["", "amine"]);
  expect(together(lambdas("a"), enabled)).toEqual(["", "amine", "b1"]);
  expect(withFunctions(upstream(lambdas("a", "b"), enabled), found).version).toBe("1");
});

test("only what has no spec, or one that was begun, is asked", () => {
  const planned = (spec: JsonObject) => functionPlan(upstream(spec, enabled), settings(), [swagger], () => undefined)?.kinds.length;
  expect(planned(at(1))).toBe(1);
  expect(planned(at(1, { rest: { swaggerInfo: { url: "http://x" } } }))).toBe(1);
  expect(planned(at(1, { rest: {} }))).toBe(1);
  expect(planned(at(1, { rest: { swaggerInfo: { url: "http://x" }, transformations: { mine: {} } } }))).toBeUndefined();
  expect(planned(at(1, { grpc: {} }))).toBeUndefined();
  expect(planned({ awsEc2: {} })).toBeUndefined();
});

test("found functions fill what is not there and touch nothing else", () => {
  const found = fromJson(ServiceSpecSchema, { rest: { transformations: { a: {} }, swaggerInfo: { url: "http://found" } } });
  const json = (spec: JsonObject) => {
    const resource = withFunctions(upstream(spec), found);
    return [resource.spec && toJson(UpstreamSchema, resource.spec), resource.version === "1"];
  };
  const plain = at(1).static as JsonObject;
  expect(json(at(1))).toEqual([{ static: { ...plain, serviceSpec: toJson(ServiceSpecSchema, found) } }, false]);
  expect(json(at(1, { rest: { swaggerInfo: { url: "http://mine" } } }))).toEqual([
    { static: { ...plain, serviceSpec: { rest: { transformations: { a: {} }, swaggerInfo: { url: "http://mine" } } } } },
    false,
  ]);
  expect(json(at(1, { rest: {} }))).toEqual([{ static: { ...plain, serviceSpec: toJson(ServiceSpecSchema, found) } }, false]);
  for (const own of [
    { rest: { transformations: { mine: {} } } },
    { grpc: {} },
    { grpcJsonTranscoder: { services: ["a"] } },
  ] as JsonObject[])
    expect(json(at(1, own))).toEqual([{ static: { ...plain, serviceSpec: own } }, true]);
});

test("after a restart the functions known before count, as long as the Upstream is the same", () => {
  const found = fromJson(ServiceSpecSchema, { rest: { transformations: { a: {} } } });
  const before = withFunctions(upstream(at(1)), found);
  const overlay = new FunctionOverlay([before]);
  expect(overlay.over(upstream(at(1))).version).toBe(before.version);
  expect(overlay.over({ ...upstream(at(2)), version: "2" }).version).toBe("2");
  expect(overlay.learn({ key: before.key, spec: undefined })?.version).toBe("2");
  expect(overlay.over(upstream(at(1))).version).toBe("1");
});

test("addresses that nobody may be led to", async () => {
  const refused = [
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "100.100.100.200",
    "::",
    "fe80::1",
    "fd00:ec2::254",
    "ff02::1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "x",
  ];
  for (const each of refused) expect(addressFault(each, true), each).toBeDefined();
  for (const each of ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"]) {
    expect(addressFault(each, false), each).toBe("is this machine");
    expect(addressFault(each, true), each).toBeUndefined();
  }
  for (const each of ["10.0.0.1", "192.168.0.1", "8.8.8.8", "fd00::1", "2001:db8::1"])
    expect(addressFault(each, false), each).toBeUndefined();
  const none = () => undefined;
  const consul = upstream({ consul: { serviceName: "a" } });
  await expect(functionTarget(consul, [{ address: "127.0.0.1", port: 19_000 }], none)).rejects.toThrow(AddressRefused);
  await expect(functionTarget(upstream({ static: { hosts: [{ addr: "169.254.169.254", port: 80 }] } }), [], none)).rejects.toThrow(
    "metadata",
  );
  expect(await functionTarget(upstream(at(443)), [], none)).toMatchObject({ address: "127.0.0.1", authority: "127.0.0.1:443", tls: {} });
});

const open: Server[] = [];
const stories: AbortController[] = [];
afterEach(() => {
  for (const each of stories.splice(0)) each.abort();
  for (const each of open.splice(0)) {
    each.closeAllConnections();
    each.close();
  }
});

async function shop(): Promise<{ port: number; asked: string[]; document: { value: unknown } }> {
  const asked: string[] = [];
  const document = { value: { swagger: "2.0", paths: { "/a": { get: { operationId: "a" } } } } as unknown };
  const server = createServer(({ url = "" }, answer) => {
    asked.push(url);
    if (url === "/swagger.json" && document.value !== undefined) answer.end(JSON.stringify(document.value));
    else answer.writeHead(404).end();
  });
  open.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, asked, document };
}

function story(kinds: readonly FunctionKind[] = [swagger]) {
  const ended = new AbortController();
  stories.push(ended);
  const lists = new Latest<string, readonly FunctionUpstream[]>(ended.signal);
  const found: FunctionsFound[] = [];
  const reports: Report[] = [];
  const nothing = () => undefined;
  const following = (async () => {
    for await (const each of discoverFunctions({
      upstreams: lists,
      kinds,
      settings: () => create(SettingsSchema),
      secret: nothing,
      report: (report) => reports.push(report),
      log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
      signal: ended.signal,
      pace: { firstMs: 0, retryMs: 20, maxRetryMs: 100, gapMs: 5, parallel: 2, refreshMs: 30 },
    }))
      found.push(each);
  })();
  const names = () =>
    found.map(({ spec }) =>
      spec?.$typeName === ServiceSpecSchema.typeName && spec.pluginType.case === "rest"
        ? Object.keys(spec.pluginType.value.transformations)
        : spec,
    );
  const say = (...list: Resource<"Upstream">[]) =>
    lists.put(
      "list",
      list.map((resource) => ({ resource, endpoints: [] })),
    );
  return { say, found, names, reports, following, ended };
}

test("functions are found, followed as they change, kept in an outage, and gone with the Upstream", async () => {
  const { port, document } = await shop();
  const { say, names, reports, following, ended } = story();
  say(upstream(at(port), enabled));
  await eventually(names, [["a"]]);
  document.value = { swagger: "2.0", paths: { "/b": { get: { operationId: "b" } } } };
  await eventually(names, [["a"], ["b"]]);
  document.value = undefined;
  await eventually(() => reports.some(({ problems }) => problems.some(({ reason }) => reason === "FunctionsUnreachable")), true);
  document.value = { swagger: "2.0", paths: {} };
  await delay(150);
  expect(names()).toEqual([["a"], ["b"]]);
  say();
  await eventually(names, [["a"], ["b"], undefined]);
  ended.abort();
  await following;
});

test("an Upstream that is not chosen gets no request; edits that change nothing of the service ask nobody anew", async () => {
  const { port, asked } = await shop();
  const { say, names } = story([{ ...swagger, refreshMs: 60_000 }]);
  say(upstream(at(port)));
  await delay(60);
  expect(asked).toEqual([]);
  say(upstream(at(port), enabled));
  await eventually(names, [["a"]]);
  say({ ...upstream({ ...at(port), circuitBreakers: {} }, enabled), version: "2" });
  await delay(20);
  expect(names()).toEqual([["a"]]);
  say(upstream(at(port), disabled));
  await delay(50);
  const before = asked.length;
  await delay(100);
  expect(asked.length - before).toBeLessThanOrEqual(1);
  expect(names()).toEqual([["a"]]);
});

test("what is not asked any more has nothing to complain of", async () => {
  const { say, reports } = story([
    {
      ...swagger,
      async ask() {
        throw new Error("broken");
      },
    },
  ]);
  const begun = { rest: { swaggerInfo: { url: "http://127.0.0.1:1/x" } } };
  say(upstream(at(1, begun), enabled));
  await eventually(() => reports.at(-1)?.problems.map(({ reason }) => reason), ["FunctionsUnreachable"]);
  say(upstream(at(1, begun), disabled));
  await eventually(() => reports.at(-1)?.problems, []);
});

test("who answers nothing is asked less and less, and a hostile kind harms no other Upstream", async () => {
  let asked = 0;
  const broken: FunctionKind = {
    ...swagger,
    kind: "broken",
    async ask() {
      asked++;
      throw new Error("broken");
    },
  };
  const { port } = await shop();
  const { say, names } = story([broken, swagger]);
  const other = upstream({ static: { hosts: [{ addr: "127.0.0.1", port: 1 }] } }, enabled, "other");
  say(other, upstream(at(port), enabled));
  const begun = performance.now();
  await eventually(names, [["a"]]);
  await delay(400);
  expect(asked).toBeLessThan(Math.max(20, (performance.now() - begun) / 20));
});

test("of 10,000 Upstreams that are there, one that changes costs little", async () => {
  const { port } = await shop();
  const many = Array.from({ length: 10_000 }, (_, i) => ({ ...upstream(at(1), {}, `n${i}`) }));
  const took = await bestOf(5, 500, async () => {
    const { say, names } = story();
    say(...many);
    await delay(50);
    const before = performance.now();
    say(...many, upstream(at(port), enabled));
    await eventually(names, [["a"]]);
    return performance.now() - before;
  });
  expect(took).toBeLessThan(500);
});

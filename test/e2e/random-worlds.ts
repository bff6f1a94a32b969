// Pushes random worlds to a running Envoy and says what came of them.
import { fromBinary } from "@bufbuild/protobuf";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import { builtins } from "../../src/builtins.ts";
import { RouteConfigurationSchema } from "../../src/gen/envoy/envoy/config/route/v3/route_pb.js";
import type { RouteSurroundings } from "../../src/lib/testing/random-routes/words.ts";
import type { RandomWorld, WorldObject } from "../../src/lib/testing/randomWorlds.ts";
import { object, type RealSurroundings, surroundings } from "../../src/lib/testing/surroundings.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import type { Plugins } from "../../src/plugin/plugins.ts";
import { tillDescriptors } from "../servers/till-descriptors.ts";
import { type InProcess, proxy } from "./in-process.ts";

export interface Around extends RouteSurroundings, Disposable {
  readonly objects: readonly object[];
}

/** What the worlds share: Upstreams of every type that routes treat in a way of their own, groups, secrets. */
export function around(): Around {
  const base: RealSurroundings = surroundings();
  const upstreams = {
    plain: ["plain-0", "plain-1"],
    subsets: "subsets",
    aws: "lambda",
    azure: "azure-app",
    rest: "rest",
    grpc: "grpc",
    broken: "broken",
  };
  const groups = ["group-0", "group-1"];
  const set = tillDescriptors("id");
  const hosts = (port: number) => [{ addr: "127.0.0.1", port }];
  const upstream = (name: string, spec: object) => object("gloo.solo.io/v1", "Upstream", name, "shop", spec);
  const to = (name: string) => ({ destination: { upstream: { name, namespace: "shop" } }, weight: 1 });
  return {
    files: base.files,
    secrets: base.secrets,
    sdsCluster: base.sdsCluster,
    upstreams,
    groups,
    descriptors: set,
    objects: [
      ...base.objects.filter((each) => ((each as WorldObject).kind as string) !== "Settings"),
      ...upstreams.plain.map((name, i) => upstream(name, { static: { hosts: hosts(1 + i) } })),
      upstream(upstreams.subsets, {
        kube: { serviceName: "many", serviceNamespace: "shop", servicePort: 80, subsetSpec: { selectors: [{ keys: ["stage"] }] } },
      }),
      upstream(upstreams.aws, {
        aws: {
          region: "eu-west-1",
          secretRef: { name: base.secrets.aws, namespace: "shop" },
          lambdaFunctions: [{ logicalName: "resize", lambdaFunctionName: "resize", qualifier: "$LATEST" }],
        },
      }),
      upstream(upstreams.azure, {
        azure: {
          functionAppName: "app",
          secretRef: { name: base.secrets.azure, namespace: "shop" },
          functions: [{ functionName: "hello", authLevel: "Anonymous" }],
        },
      }),
      upstream(upstreams.rest, {
        static: {
          hosts: hosts(4),
          serviceSpec: {
            rest: { transformations: { getItem: { headers: { ":method": { text: "GET" }, ":path": { text: "/items/{{ id }}" } } } } },
          },
        },
      }),
      upstream(upstreams.grpc, {
        static: {
          hosts: hosts(5),
          serviceSpec: {
            grpc: {
              descriptors: Buffer.from(set).toString("base64"),
              grpcServices: [{ packageName: "till.v1", serviceName: "Till", functionNames: ["Get"] }],
            },
          },
        },
      }),
      upstream(upstreams.broken, { static: { hosts: [{ addr: "127.0.0.1", port: 70_000 }] } }),
      ...groups.map((name, i) =>
        object("gloo.solo.io/v1", "UpstreamGroup", name, "shop", { destinations: [to("plain-0"), to(i === 0 ? "plain-1" : "plain-0")] }),
      ),
    ],
    [Symbol.dispose]: () => base[Symbol.dispose](),
  };
}

/** Settings that change what routes become. */
export const manySettings: readonly object[] = [
  {},
  { gloo: { invalidConfigPolicy: { replaceInvalidRoutes: true, invalidRouteResponseCode: 404, invalidRouteResponseBody: "no" } } },
  { gateway: { isolateVirtualHostsBySslConfig: true, translateEmptyGateways: true } },
  {
    extauth: { extauthzServerRef: { name: "plain-0", namespace: "shop" }, requestTimeout: "1s" },
    ratelimitServer: { ratelimitServerRef: { name: "plain-1", namespace: "shop" }, denyOnFail: true },
  },
  {
    gloo: { regexMaxProgramSize: 1000, removeUnusedFilters: true, istioOptions: { appendXForwardedHost: true } },
    gateway: { virtualServiceOptions: { oneWayTls: true } },
  },
];

export function settings(i: number): object {
  return object("gloo.solo.io/v1", "Settings", "default", "gloo-system", {
    discovery: { fdsMode: "DISABLED", udsOptions: { enabled: false } },
    consul: { httpAddress: "127.0.0.1:1", serviceDiscovery: {} },
    ...manySettings[i % manySettings.length],
  });
}

/** The built-in types, none of which looks outside. */
export const plugins: Plugins = {
  ...builtins,
  upstreamTypes: Object.fromEntries(
    Object.entries(builtins.upstreamTypes).map(([kind, { discover: _, functions: __, ...type }]) => [
      kind,
      type.endpoints && kind !== "kube" ? { ...type, endpoints: nowhere } : type,
    ]),
  ) as Plugins["upstreamTypes"],
};

async function* nowhere(): AsyncGenerator<never> {}

/** Takes no VirtualService. */
export const nobodys = { virtualServiceNamespaces: ["nobody"] };

export interface Outcome {
  /** What should not be: each line a reason to look. */
  readonly wrong: readonly string[];
  readonly served: number;
  readonly rejected: number;
  readonly reasons: ReadonlyMap<string, number>;
}

/** Gives the worlds to Envoy and waits until it has answered. */
export async function tryOut(running: InProcess, worlds: readonly RandomWorld[], shared: readonly object[]): Promise<Outcome> {
  const [refusalsBefore, faultsBefore] = [running.refusals.length, running.faults.length];
  const objects = worlds.flatMap((world) => world.objects);
  running.reset(...shared, ...objects, ...worlds.flatMap((world) => world.secrets));
  await running.settled();
  return outcomeOf(running, objects, refusalsBefore, faultsBefore);
}

function outcomeOf(
  { plane, server, refusals, faults }: InProcess,
  objects: readonly WorldObject[],
  refusalsBefore: number,
  faultsBefore: number,
): Outcome {
  const wrong: string[] = [];
  const { findings, statuses, resources } = plane.current;
  const given = new Map(objects.map((each) => [keyOf(each), each]));
  for (const fault of faults.slice(faultsBefore)) wrong.push(`FAULT ${fault.slice(0, 1500)}`);
  for (const { resource, message } of refusals.slice(refusalsBefore))
    wrong.push(
      `REFUSED ${message}\n  ${resource.name} of ${resource.owners.join(", ")}\n  ${excerpt(JSON.stringify(envoyJson(resource)), message)}`,
    );
  const rejected = new Set<string>();
  const reasons = new Map<string, number>();
  for (const { problem } of findings) {
    const what = `${problem.severity} ${problem.code} ${problem.reason}`;
    reasons.set(what, (reasons.get(what) ?? 0) + 1);
    if (problem.resource === undefined) {
      wrong.push(`NO RESOURCE ${what}: ${problem.message}`);
      continue;
    }
    const of = given.get(problem.resource);
    if (problem.reason === "PluginFailed") wrong.push(`PLUGIN ${what}: ${problem.message} ${JSON.stringify(of?.spec).slice(0, 600)}`);
    if (of === undefined) continue;
    if (problem.severity === "error") rejected.add(problem.resource);
    if (problem.path !== undefined && !isThere(of.spec, problem.path))
      wrong.push(`NO SUCH PLACE ${what} ${problem.path}: ${problem.message} (${problem.resource})`);
    if (/undefined|\[object|NaN\b/.test(problem.message)) wrong.push(`ODD TEXT ${what}: ${problem.message}`);
  }
  const domains = new Set(
    (server.served(proxy)[typeUrls.route] ?? []).flatMap(({ bytes }) =>
      fromBinary(RouteConfigurationSchema, bytes).virtualHosts.flatMap((host) => host.domains),
    ),
  );
  let served = 0;
  const withheld = new Set(
    objects.filter((each) => each.kind === "Gateway" && rejected.has(keyOf(each))).map((each) => each.metadata.name),
  );
  for (const each of objects) {
    const key = keyOf(each);
    const status = statuses.get(key as never);
    if (!resources.has(key as never)) wrong.push(`LOST ${key}`);
    if (status === undefined) continue;
    if ((status.state === "Rejected") !== rejected.has(key))
      wrong.push(`STATUS ${status.state} of ${key}, findings say ${rejected.has(key) ? "error" : "none"}: ${status.reason?.slice(0, 300)}`);
    if (each.kind !== "VirtualService" || rejected.has(key) || withheld.has(each.metadata.namespace)) continue;
    const told = findings.some(
      ({ problem }) =>
        (problem.resource === key || problem.resource === `Gateway gloo-system/${each.metadata.namespace}`) &&
        (problem.reason === "NotServed" || problem.reason === "TlsInvalid"),
    );
    const first = (each.spec.virtualHost as { domains?: string[] }).domains?.[0] ?? "*";
    if (domains.has(first)) served++;
    else if (!told) wrong.push(`NOT SERVED and nobody says so: ${key} ${first}`);
  }
  for (const { types } of server.clients())
    for (const type of types)
      if (type.nacks > 0 && refusals.length === refusalsBefore) wrong.push(`NACK of ${type.typeUrl} without refusal`);
  return { wrong, served, rejected: rejected.size, reasons };
}

function keyOf({ kind, metadata: { namespace, name } }: WorldObject): string {
  return `${kind} ${namespace}/${name}`;
}

/** A path leads to something that is written, or to where something is missing. */
function isThere(spec: unknown, path: string): boolean {
  // What does not go together may be written on the routes of a virtual host.
  if (path === "virtualHost.options.extauth") return true;
  const steps = path.match(/[^.[\]]+/g) ?? [];
  let here = spec;
  for (const [i, step] of steps.entries()) {
    if (typeof here !== "object" || here === null) return i >= steps.length;
    const next = (here as Record<string, unknown>)[step];
    // Matchers, and settings of a delegated gateway, may be inherited: then they are written at the parent.
    if (next === undefined)
      return i >= steps.length - 1 || [step, steps[i - 1]].includes("matchers") || path.includes(".httpConnectionManagerSettings.");
    here = next;
  }
  return true;
}

function excerpt(json: string, message: string): string {
  const word = /"([^"]{2,})"|'([^']{2,})'/.exec(message);
  const at = word ? json.indexOf(word[1] ?? word[2] ?? "") : -1;
  return at < 0 ? json.slice(0, 3000) : json.slice(Math.max(0, at - 600), at + 600);
}

/** Warnings in Envoy's log that say something of the configuration. */
export function warningsOf(log: string): string[] {
  return log.split("\n").filter((line) => /\[(warning|error|critical)\]/.test(line) && !harmless.test(line));
}

const harmless =
  /there is no configured limit|Using an insecure|deprecat|work-in-progress|runtime key|formatter is treated as a built-in|Unknown retry_on|gRPC config stream|\[tracing\]|Jwks async fetching/i;

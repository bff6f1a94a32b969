// Random worlds: each has a Gateway of any type on a port of its own, VirtualServices, RouteTables that they delegate to, groups and
// options, all in a namespace of their own; what they share is in `shop`. Of `good` ones nearly everything can be served; `wild` ones
// also have values and references that cannot.
import type { DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";
import { type ApiKind, kinds } from "../../model/resource.ts";
import type { Flavour } from "./flavours.ts";
import type { RouteSurroundings } from "./random-routes/words.ts";
import { type Rules, randomMessage } from "./randomMessages.ts";
import { routeRules } from "./randomRoutes.ts";
import { secretsOf } from "./randomSecrets.ts";
import { object } from "./surroundings.ts";

export interface RandomWorld {
  readonly namespace: string;
  readonly objects: readonly WorldObject[];
  readonly secrets: readonly WorldSecret[];
}

export interface WorldObject {
  readonly apiVersion: string;
  readonly kind: ApiKind;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec: JsonObject;
}

/** A Secret has no spec: what is in it stands beside its metadata. */
export type WorldSecret = Omit<WorldObject, "spec" | "kind"> & { readonly kind: "Secret" };

/** How many of each kind a world has. */
const counts = {
  Gateway: 1,
  VirtualService: 5,
  RouteTable: 4,
  UpstreamGroup: 2,
  VirtualHostOption: 2,
  RouteOption: 2,
  MatchableHttpGateway: 2,
  MatchableTcpGateway: 1,
  ListenerOption: 1,
  HttpListenerOption: 1,
  AuthConfig: 2,
  RateLimitConfig: 2,
} as const satisfies Partial<Record<ApiKind, number>>;

export type WorldKind = keyof typeof counts;

export const worldKinds = Object.keys(counts) as WorldKind[];

export interface WorldMaker {
  readonly rules: Rules;
  /** A world for each of the ports; the same seed makes the same. */
  make(ports: readonly number[], seed: number): RandomWorld[];
}

/** `rarity`: one in so many of the wild values is a bad one. */
export function worldMaker(flavour: Flavour, around: RouteSurroundings, rarity = 150): WorldMaker {
  const rules = routeRules(flavour, around, rarity);
  const arbitraries = Object.fromEntries(worldKinds.map((kind) => [kind, randomMessage(kinds[kind].schema as DescMessage, rules)]));
  return {
    rules,
    make(ports, seed) {
      const sampled = Object.fromEntries(
        worldKinds.map((kind, at) => [
          kind,
          fc.sample(arbitraries[kind] as fc.Arbitrary<JsonObject>, { numRuns: counts[kind] * ports.length, seed: seed * 100 + at }),
        ]),
      ) as Record<WorldKind, JsonObject[]>;
      return ports.map((port, number) => {
        const specs = Object.fromEntries(
          worldKinds.map((kind) => [kind, sampled[kind].slice(number * counts[kind], (number + 1) * counts[kind])]),
        ) as Record<WorldKind, JsonObject[]>;
        return new World(`w${seed}-${number}`, port, seed + number, flavour === "wild").build(specs);
      });
    },
  };
}

class World {
  readonly namespace: string;
  readonly port: number;
  readonly number: number;
  readonly isWild: boolean;

  constructor(namespace: string, port: number, number: number, isWild: boolean) {
    this.namespace = namespace;
    this.port = port;
    this.number = number;
    this.isWild = isWild;
  }

  build(specs: Record<WorldKind, JsonObject[]>): RandomWorld {
    const gateway = specs.Gateway[0] as JsonObject;
    const objects = worldKinds.flatMap((kind) =>
      specs[kind].map((spec, i): WorldObject => {
        const own = JSON.parse(
          JSON.stringify(this.tuned(kind, spec, i, gateway)).replaceAll('"$own"', `"${this.namespace}"`),
        ) as JsonObject;
        const namespace = kind === "Gateway" ? "gloo-system" : this.namespace;
        const metadata = {
          name: kind === "Gateway" ? this.namespace : nameOf(kind, i),
          namespace,
          labels: { world: this.namespace, app: i % 2 === 0 ? "a" : "b" },
        };
        return { ...(object(groupOf(kind), kind, "", "", own) as WorldObject), metadata };
      }),
    );
    return { namespace: this.namespace, objects, secrets: secretsOf(this.namespace, this.number, this.isWild) };
  }

  /** Random specs know nothing of each other: what they say about others is put right. */
  tuned(kind: WorldKind, spec: JsonObject, i: number, gateway: JsonObject): JsonObject {
    switch (kind) {
      case "Gateway":
        return this.gateway(spec);
      case "VirtualService":
        return this.virtualService(spec, i, gateway);
      case "RouteTable":
        return { ...spec, routes: this.routes(spec.routes, i) };
      case "MatchableHttpGateway":
        return { ...spec, matcher: this.matcher(i, object_(spec.matcher)), httpGateway: this.http(object_(spec.httpGateway)) };
      case "MatchableTcpGateway":
        return { ...spec, matcher: this.matcher(i + 5, object_(spec.matcher)), tcpGateway: this.tcp(object_(spec.tcpGateway)) };
      default:
        return spec;
    }
  }

  gateway(spec: JsonObject): JsonObject {
    const { hybridGateway, httpGateway, tcpGateway, ...rest } = spec;
    const base = { ...rest, bindAddress: ["127.0.0.1", "0.0.0.0", "::", "::1"][this.number % 4] as string, bindPort: this.port };
    if (httpGateway) return { ...base, httpGateway: this.http(object_(httpGateway)) };
    if (tcpGateway) return { ...base, tcpGateway: this.tcp(object_(tcpGateway)) };
    const { matchedGateways = [], delegatedHttpGateways, delegatedTcpGateways } = object_(hybridGateway);
    const matched = (matchedGateways as JsonObject[]).map((each, i) => ({
      matcher: this.matcher(i + 10, object_(each.matcher)),
      ...(each.httpGateway ? { httpGateway: this.http(object_(each.httpGateway)) } : {}),
      ...(each.tcpGateway ? { tcpGateway: this.tcp(object_(each.tcpGateway)) } : {}),
    }));
    const chosen: JsonObject =
      this.number % 3 === 0
        ? { expressions: [{ key: "world", operator: "In", values: [this.namespace] }] }
        : { labels: { world: this.namespace } };
    const selector = { namespaces: [this.namespace], ...chosen };
    const delegates = (given: JsonValue | undefined, kind: WorldKind): JsonObject =>
      given === undefined
        ? {}
        : {
            ...withoutChoice(object_(given)),
            ...(this.number % 2 === 0 ? { selector } : { ref: { name: nameOf(kind, 0), namespace: this.namespace } }),
          };
    return {
      ...base,
      hybridGateway: {
        matchedGateways: matched,
        ...(delegatedHttpGateways && { delegatedHttpGateways: delegates(delegatedHttpGateways, "MatchableHttpGateway") }),
        ...(delegatedTcpGateways && { delegatedTcpGateways: delegates(delegatedTcpGateways, "MatchableTcpGateway") }),
      },
    };
  }

  http(spec: JsonObject): JsonObject {
    const { virtualServiceExpressions } = spec;
    const of = this.namespace;
    const selection: JsonObject[] = [
      { virtualServiceNamespaces: [of] },
      { virtualServiceSelector: { world: of }, virtualServiceNamespaces: [of] },
      { virtualServices: [0, 1, 2, ...(this.isWild ? [7] : [])].map((i) => ({ name: nameOf("VirtualService", i), namespace: of })) },
      { virtualServiceExpressions: { expressions: [{ key: "world", operator: "In", values: [of] }] }, virtualServiceNamespaces: ["*"] },
    ];
    const chosen = selection[this.number % selection.length] as JsonObject;
    return {
      ...(spec.options && { options: spec.options }),
      ...chosen,
      ...(this.isWild && virtualServiceExpressions && { virtualServiceExpressions, virtualServiceNamespaces: [of] }),
    };
  }

  tcp(spec: JsonObject): JsonObject {
    const hosts = ((spec.tcpHosts ?? []) as JsonObject[]).map((host, i) => {
      // Two hosts are told apart by their server names.
      const sslConfig =
        i === 0 && !host.sslConfig
          ? undefined
          : {
              secretRef: tls,
              ...object_(host.sslConfig),
              ...(this.isWild && i > 2 ? {} : { sniDomains: [`t${i}.${this.namespace}.test`] }),
            };
      return { ...host, ...(sslConfig && { sslConfig: withOneSecret(sslConfig) }) };
    });
    return { ...spec, tcpHosts: hosts };
  }

  matcher(i: number, spec: JsonObject): JsonObject {
    if (this.isWild && i % 7 === 3) return spec;
    const sslConfig = spec.sslConfig ? { ...object_(spec.sslConfig), sniDomains: [`m${i}.${this.namespace}.test`] } : undefined;
    return { sourcePrefixRanges: [{ addressPrefix: `10.${i}.0.0`, prefixLen: 16 }], ...(sslConfig && { sslConfig }) };
  }

  virtualService(spec: JsonObject, i: number, gateway: JsonObject): JsonObject {
    const host = object_(spec.virtualHost);
    const wantsTls = gateway.httpGateway ? gateway.ssl === true : i % 2 === 1;
    const { sslConfig: given, ...rest } = spec;
    const sslConfig = wantsTls
      ? withOneSecret({
          ...(given ? {} : { secretRef: tls }),
          ...object_(given),
          sniDomains: domainsOf(i, this.namespace).slice(0, 1 + (i % 2)),
        })
      : undefined;
    return {
      ...rest,
      ...(sslConfig && { sslConfig }),
      virtualHost: {
        ...host,
        domains: [...domainsOf(i, this.namespace), ...(this.isWild && i === 4 ? wildDomains(this.number) : [])],
        routes: this.routes(host.routes, -1),
      },
    };
  }

  /** `table`: the number of the RouteTable that has them; below 0 for a VirtualService. Tables delegate to later ones, so that none meets itself. */
  routes(routes: JsonValue | undefined, table: number): JsonObject[] {
    return ((routes ?? []) as JsonObject[]).map((route, i) => {
      if (!route.delegateAction) {
        if (!this.isWild) return withoutContradictions(route);
        return this.number % 9 === 0 && i === 0 ? { ...route, matchers: [] } : route;
      }
      const next = this.isWild && (this.number + i) % 5 === 0 ? (this.number + i) % 4 : table + 1 + ((this.number + i) % 2);
      const { redirectAction: _, options, ...rest } = route;
      const delegateAction: JsonObject =
        table < 0 && i % 2 === 1
          ? {
              selector: {
                namespaces: [this.namespace],
                ...(this.number % 2 === 0 ? { labels: { app: "b" } } : { expressions: [{ key: "app", operator: "NotIn", values: ["b"] }] }),
              },
            }
          : { ref: { name: nameOf("RouteTable", Math.min(next, this.isWild ? 9 : counts.RouteTable - 1)), namespace: this.namespace } };
      if (!this.isWild && table >= counts.RouteTable - 1) {
        const { delegateAction: __, ...plain } = route;
        return { ...plain, directResponseAction: { status: 200 } };
      }
      const matchers = this.isWild && (this.number + i) % 6 === 0 ? (rest.matchers ?? []) : [{ prefix: "/" }];
      return { ...rest, ...(options && { options }), matchers, delegateAction };
    });
  }
}

const tls = { name: "tls", namespace: "shop" };

/** Where two are named, the reference stays. */
function withOneSecret(ssl: JsonObject): JsonObject {
  if (!ssl.sslFiles && !ssl.sds) return ssl;
  const { secretRef: _, ...rest } = ssl;
  return rest;
}

function withoutChoice({ ref: _, selector: __, ...rest }: JsonObject): JsonObject {
  return rest;
}

function domainsOf(i: number, namespace: string): string[] {
  const base = `h${i}.${namespace}.test`;
  const all = [
    [base],
    [base, `*.${base}`],
    [base, `h${i}.${namespace}.*`],
    [`${base}:8080`, base],
    [base, base.toUpperCase().replace("H", "x")],
  ];
  return all[i % all.length] as string[];
}

function wildDomains(number: number): string[] {
  return [
    ["*"],
    ["h0.test", "h0.test"],
    [""],
    ["a.*.test"],
    ["http://a.test"],
    ["a b"],
    ["é.test"],
    ["[::1]:80"],
    ["\n"],
    ["x".repeat(300)],
    [".", "*."],
    ["*", "*"],
  ][number % 12] as string[];
}

const ofForwarding = ["shadowing", "lbHash", "cors", "ratelimit", "ratelimitEarly", "ratelimitRegular", "rateLimitConfigs"];

/** Options that only what is forwarded can have, and two of which one can be. */
function withoutContradictions(route: JsonObject): JsonObject {
  const { options } = route;
  if (options === undefined) return route;
  const { regexRewrite, ...others } = object_(options);
  const kept = others.prefixRewrite === undefined && regexRewrite !== undefined ? { ...others, regexRewrite } : others;
  const fits = Object.entries(kept).filter(([name]) => route.routeAction || !ofForwarding.includes(name));
  return { ...route, options: Object.fromEntries(fits) };
}

function object_(value: JsonValue | undefined): JsonObject {
  return (value ?? {}) as JsonObject;
}

function nameOf(kind: WorldKind, i: number): string {
  const stem = kind === "RouteOption" || kind === "VirtualHostOption" ? "options" : kind.toLowerCase();
  return `${stem}-${i}`;
}

function groupOf(kind: WorldKind): string {
  return `${kinds[kind].group}/${kinds[kind].version}`;
}

// One Gateway → one Envoy listener. Pure; knows no feature by name.
//
// A chain that cannot be set up (a missing certificate) costs that chain, and is said of the VirtualService that needs it; an
// unusable option of the Gateway withholds the listener, since it may protect something.
import { create } from "@bufbuild/protobuf";
import { violationsOf } from "../envoy/constraints.ts";
import { envoyResource, packAny } from "../envoy/encode.ts";
import { ListenerSchema } from "../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { TlsInspectorSchema } from "../gen/envoy/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { type HttpListenerOptions, HttpListenerOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import { ListenerOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/listener_options_pb.js";
import type { SslConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import { TcpListenerOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/tcp_listener_options_pb.js";
import { ipVersion } from "../lib/ip.ts";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { GatewayPart, HttpPart, TcpPart } from "../model/gateway-part.ts";
import { type Problem, problem, Report } from "../model/problem.ts";
import type { Ref, ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { ListenerContext, ListenerDraft, OptionFinding } from "../plugin/feature.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { World } from "../plugin/world.ts";
import { type PlacedChain, withoutConflicts, withUsableRanges } from "./chain-conflicts.ts";
import { defaultSsl, placedSsl, tlsChain, tlsOf, type UsableSsl, withUsableNames } from "./chain-tls.ts";
import { type ChainDraft, chainMatch, groupSsl, type PlacedSsl, type SslGroup, withDefaults } from "./filter-chains.ts";
import { httpChainFilters, sorted } from "./http-chain.ts";
import { listenerOrigin } from "./listener-origin.ts";
import { useOf, withoutEffect } from "./options.ts";
import { RouteConfigurationNames, rankOfGroup, sslOfGroup } from "./route-configuration-names.ts";
import { tcpHostFilters } from "./tcp-chain.ts";

/** A VirtualService on a listener. */
export interface AttachedHost {
  readonly resource: ResourceKey;
  readonly ssl?: SslConfig;
}

export type Configures = (filter: string) => boolean;

/** A part of the Gateway with its VirtualServices, in the order of their names. */
export interface AttachedPart {
  readonly part: GatewayPart;
  readonly hosts: readonly AttachedHost[];
  /** Whether one of these hosts, or of their routes, configures the HTTP filter of that name. Asked where unused filters are left out. */
  readonly configures?: Configures;
}

export interface ListenerTranslation {
  readonly name: string;
  /** Absent when there is nothing to serve, or the listener is withheld. */
  readonly listener?: EnvoyResource;
  /** The route configurations it asks for, and whose virtual hosts are in them. */
  readonly routes: readonly RouteConfigurationPlan[];
  /** Clusters that features of the listener need. */
  readonly extras: readonly EnvoyResource[];
  /** Of the Gateway, and of VirtualServices whose TLS cannot be set up. */
  readonly problems: readonly Problem[];
}

export interface RouteConfigurationPlan {
  readonly name: string;
  /** Index of the part. */
  readonly part: number;
  readonly hosts: readonly ResourceKey[];
  readonly requireTls: boolean;
}

export interface ListenerTranslationContext {
  readonly world: World;
  readonly plugins: Plugins;
  /** Key material is sent as Secrets, and filter chains refer to it. */
  readonly secretsApart?: boolean;
  readonly hasCluster?: (upstream: Ref) => boolean;
  /** Whether there is any VirtualService at all, wherever it is served. */
  readonly hasVirtualServices: boolean;
}

export function listenerName({ spec }: Resource<"Gateway">): string {
  return `listener-${spec?.bindAddress ?? ""}-${spec?.bindPort ?? 0}`;
}

export function listenerOf(
  gateway: Resource<"Gateway">,
  parts: readonly AttachedPart[],
  context: ListenerTranslationContext,
): ListenerTranslation {
  return new OneListener(gateway, context).build(parts);
}

class OneListener {
  readonly gateway: Resource<"Gateway">;
  readonly context: ListenerTranslationContext;
  readonly name: string;
  readonly problems: Problem[] = [];
  readonly routes: RouteConfigurationPlan[] = [];
  readonly extras: EnvoyResource[] = [];
  readonly routeNames: RouteConfigurationNames;
  readonly isIsolated: boolean;
  isWithheld = false;
  needsTlsInspector = false;

  constructor(gateway: Resource<"Gateway">, context: ListenerTranslationContext) {
    this.gateway = gateway;
    this.context = context;
    this.name = listenerName(gateway);
    this.routeNames = new RouteConfigurationNames(this.name);
    const annotated = goBool(gateway.annotations["gateway.solo.io/isolate_vhost"]);
    this.isIsolated = annotated ?? context.world.settings.gateway?.isolateVirtualHostsBySslConfig === true;
  }

  build(parts: readonly AttachedPart[]): ListenerTranslation {
    const { spec } = this.gateway;
    const address = this.address();
    const chains = parts.flatMap(({ part, hosts, configures }, i) =>
      part.kind === "http" ? this.httpChains(part, hosts, i, configures) : this.tcpChains(part),
    );
    this.checkHybrid(parts);
    const inRange = withUsableRanges(chains, this.gateway.key);
    const { chains: kept, problems } = withoutConflicts(inRange.chains, this.gateway.key);
    const distinct = this.isIsolated ? inIsolatedOrder(kept) : kept;
    this.problems.push(...inRange.problems, ...problems);
    let draft: ListenerDraft = { name: this.name, address, filterChains: distinct.map(({ chain }) => chain) };
    const options = spec?.options;
    const use = useOf(ListenerOptionsSchema, "listener", options, this.context.plugins.features);
    this.reportUnsupported(use.unsupported, "options");
    for (const feature of this.context.plugins.features)
      if (feature.listener) draft = feature.listener(draft, options, this.featureContext("options", undefined));
    if (this.needsTlsInspector) {
      const value = packAny(TlsInspectorSchema, {});
      draft = {
        ...draft,
        listenerFilters: [
          ...(draft.listenerFilters ?? []),
          { name: "envoy.filters.listener.tls_inspector", configType: { case: "typedConfig", value } },
        ],
      };
    }
    if (distinct.length === 0) return { name: this.name, routes: [], extras: [], problems: this.problems };
    const message = create(ListenerSchema, draft);
    const [violation] = violationsOf(ListenerSchema, message);
    if (violation && !this.isWithheld)
      this.error(
        listenerOrigin(violation.path, (i) => distinct[i]?.part) ?? "",
        "ListenerRefusedByEnvoy",
        `Envoy would refuse ${violation.path.replace(/^.*\.typedConfig\./, "")}: ${violation.message}`,
      );
    if (this.isWithheld) return { name: this.name, routes: [], extras: [], problems: this.problems };
    const owners = [
      this.gateway.key,
      ...new Set(parts.flatMap(({ hosts }) => hosts.filter((host) => host.ssl).map((host) => host.resource))),
    ];
    return {
      name: this.name,
      listener: envoyResource(ListenerSchema, this.name, message, owners),
      routes: this.routes,
      extras: this.extras,
      problems: this.problems,
    };
  }

  address(): ListenerDraft["address"] {
    const { bindAddress = "", bindPort = 0 } = this.gateway.spec ?? {};
    const version = ipVersion(bindAddress);
    if (version === 0)
      this.error(
        "bindAddress",
        "BindAddressInvalid",
        bindAddress === "" ? "bindAddress is missing" : `bindAddress ${bindAddress} is not a valid IP address`,
      );
    if (bindPort < 1 || bindPort > 65_535) this.error("bindPort", "BindAddressInvalid", `bindPort ${bindPort} is no port`);
    return {
      address: {
        case: "socketAddress",
        value: {
          address: bindAddress,
          portSpecifier: { case: "portValue", value: bindPort },
          // Of other addresses Envoy refuses it.
          ...(version === 6 && isOfBothVersions.test(bindAddress) && { ipv4Compat: true }),
        },
      },
    };
  }

  httpChains(part: HttpPart, hosts: readonly AttachedHost[], index: number, configures: Configures = () => false): PlacedChain[] {
    const { world } = this.context;
    // Of a hybrid Gateway also where no VirtualService has TLS yet: the first that comes does not change the others' connections.
    if (part.takesTls && part.matcher && !this.isIsolated && this.context.hasVirtualServices) this.needsTlsInspector = true;
    if (hosts.length === 0 && world.settings.gateway?.translateEmptyGateways !== true) return [];
    const options = part.http.options;
    const use = useOf(HttpListenerOptionsSchema, "http", options, this.context.plugins.features);
    this.reportUnsupported(use.unsupported, `${part.path}.options`);
    const context = this.featureContext(`${part.path}.options`, options);
    for (const feature of this.context.plugins.features) this.extras.push(...(feature.clusters?.(options, context) ?? []));
    const filtersFor = new Map<string, ChainDraft["filters"]>();
    const filters = (name: string) => {
      // The filters are the same for all chains with one route configuration; findings are wanted once.
      let made = filtersFor.get(name);
      if (made === undefined) {
        made = httpChainFilters(name, options, this.context.plugins.features, context, configures);
        filtersFor.set(name, made);
      }
      return made;
    };
    const plan = (name: string, of: readonly AttachedHost[]) => {
      // Two parts with equal matchers: the first has the connections, so its routes are those that are asked for.
      if (this.routes.some((each) => each.name === name)) return;
      this.routes.push({ name, part: index, hosts: of.map(({ resource }) => resource), requireTls: part.takesTls });
    };
    const shared = this.routeNames.of(part.matcher);
    // Without a VirtualService there is no certificate, and nothing to protect: Gloo opens the port all the same.
    const isBare = part.takesTls && hosts.length === 0 && part.matcher === undefined && !this.isIsolated;
    if (!part.takesTls || isBare) {
      plan(shared, hosts);
      const match = chainMatch(undefined, part.matcher);
      return [{ chain: { ...(match && { filterChainMatch: match }), filters: filters(shared) ?? [] }, by: [], part: part.path }];
    }
    if (!this.isIsolated) plan(shared, hosts);
    const own = this.usable(placedSsl(hosts, world));
    const [defaults] = this.usable(defaultSsl(part, this.gateway.key));
    const groups = groupSsl(own);
    return withDefaults(groups, defaults).flatMap((group, i): PlacedChain[] => {
      const mine = hosts.filter(({ resource }) => group.members.some((each) => each.resource === resource));
      const name = this.isIsolated ? this.routeNames.of(part.matcher, sslOfGroup(group)) : shared;
      const socket = this.tls(group);
      if (socket === undefined) return [];
      if (this.isIsolated) plan(name, mine);
      const rank = this.isIsolated && groups[i] ? { rank: rankOfGroup(groups[i]) } : {};
      return [{ chain: this.tlsChain(group, part.matcher, socket, filters(name) ?? []), by: group.members, part: part.path, ...rank }];
    });
  }

  usable({ usable, problems }: UsableSsl): readonly PlacedSsl[] {
    this.problems.push(...problems);
    return usable;
  }

  tlsChain(...of: Parameters<typeof tlsChain>): ChainDraft {
    this.needsTlsInspector = true;
    return tlsChain(...of);
  }

  /** Undefined after the findings have been given to everybody who shares the settings. */
  tls(group: SslGroup): ChainDraft["transportSocket"] {
    const { socket, secrets, problems } = tlsOf(group, this.gateway.key, this.context.world, this.context.secretsApart === true);
    this.extras.push(...secrets);
    this.problems.push(...problems);
    return socket;
  }

  tcpChains(part: TcpPart): PlacedChain[] {
    const { plugins, hasCluster } = this.context;
    const options = part.tcp.options;
    const context = this.featureContext(`${part.path}.options`, undefined);
    for (const feature of plugins.features) this.extras.push(...(feature.clusters?.(undefined, context) ?? []));
    const use = useOf(TcpListenerOptionsSchema, "tcp", options, plugins.features);
    this.reportUnsupported(use.unsupported, `${part.path}.options`);
    const [defaults] = this.usable(defaultSsl(part, this.gateway.key));
    // The names of the part are those of hosts without any.
    const namesOf = (own: readonly string[]) => (own.length > 0 ? own : (defaults?.ssl.sniDomains ?? []));
    if (defaults) this.needsTlsInspector = true;
    this.checkNames(part, defaults);
    const before = sorted(
      plugins.features.flatMap((feature) =>
        options ? (feature.networkFilters?.({ tcp: options }, this.featureContext(`${part.path}.options`, undefined)) ?? []) : [],
      ),
    );
    return part.tcp.tcpHosts.flatMap((host, i): PlacedChain[] => {
      const path = `${part.path}.tcpHosts[${i}]`;
      // The cluster is named by the client, in its hello.
      if (host.destination?.destination.case === "forwardSniClusterName") this.needsTlsInspector = true;
      const made = tcpHostFilters(host, options, context, plugins.features, hasCluster ?? (() => true));
      if ("fault" in made) {
        const message = `listener ${this.name}: TcpHost error: ${made.fault}`;
        this.problems.push(
          problem("warning", this.gateway.key, "UpstreamNotFound", message, {
            path: `${path}.destination`,
            withholds: true,
            statusText: `TcpHost Warning: UnknownWarning. Reason: ${message}`,
          }),
        );
        return [];
      }
      const filters = [...before, ...made.filters];
      const by = [{ resource: this.gateway.key, path: `${path}.sslConfig` }];
      const ssl = host.sslConfig;
      if (ssl === undefined) {
        const match = chainMatch(defaults && namesOf([]), part.matcher);
        return [{ chain: { ...(match && { filterChainMatch: match }), filters }, by, part: part.path }];
      }
      const [own] = groupSsl(this.usable(withUsableNames({ ssl, resource: this.gateway.key, path: `${path}.sslConfig` })));
      if (own === undefined) return [];
      const group = { ...own, serverNames: namesOf(own.serverNames) };
      if (isPassthrough(ssl)) return [{ chain: this.tlsChain(group, part.matcher, undefined, filters), by, part: part.path }];
      const socket = this.tls(group);
      return socket ? [{ chain: this.tlsChain(group, part.matcher, socket, filters), by, part: part.path }] : [];
    });
  }

  /**
   * Gloo has an error for matched gateways of which none has anything to serve, and a warning for those that are delegated to. Without
   * isolation it asks for any VirtualService at all, with isolation for one of each TLS.
   */
  checkHybrid(parts: readonly AttachedPart[]): void {
    const { spec } = this.gateway;
    const hybrid = spec?.GatewayType.case === "hybridGateway" ? spec.GatewayType.value : undefined;
    if (hybrid === undefined || parts.length === 0 || parts.some(({ part }) => part.kind === "tcp")) return;
    const { hasVirtualServices, world } = this.context;
    const isMatched = hybrid.matchedGateways.length > 0;
    const isOpen = hasVirtualServices || world.settings.gateway?.translateEmptyGateways === true;
    const isPopulated = this.isIsolated
      ? (isMatched && !isOpen) || parts.some(({ part, hosts }) => part.kind === "http" && (!part.takesTls || hosts.length > 0))
      : !isMatched || isOpen;
    if (isPopulated) return;
    this.problems.push(
      problem(
        isMatched ? "error" : "warning",
        this.gateway.key,
        "HybridEmpty",
        "hybrid gateway does not have any populated matched gateways",
        {
          path: "hybridGateway",
          elsewhere: true,
          costs: "nothing",
          hint: "there is no VirtualService for it",
        },
      ),
    );
  }

  /** A host under a name that its part does not take would never be reached. */
  checkNames(part: TcpPart, defaults: PlacedSsl | undefined): void {
    const taken = defaults?.ssl.sniDomains ?? [];
    if (taken.length === 0) return;
    const strangers = part.tcp.tcpHosts.flatMap(({ name, sslConfig }) =>
      (sslConfig?.sniDomains ?? []).filter((each) => !taken.includes(each)).map((each) => `${name}:${each}`),
    );
    if (strangers.length === 0) return;
    this.problems.push(
      problem("error", this.gateway.key, "SniDomainUnusable", `gateway has conflicting sni domains [${strangers.join(" ")}]`, {
        path: `${part.path}.tcpHosts`,
        costs: "nothing",
        hint: `the matcher takes ${taken.join(", ")}`,
      }),
    );
  }

  featureContext(path: string, http: HttpListenerOptions | undefined): ListenerContext {
    const level =
      http || path.endsWith("httpGateway.options") ? "HttpListener" : path.endsWith("tcpGateway.options") ? "TcpListener" : "Listener";
    const report =
      (severity: "error" | "warning") =>
      (field: string, message: string, details: OptionFinding = {}) => {
        const { reason = "OptionInvalid", costs = "listener", of, ...rest } = details;
        const options = of === "listener" ? "options" : path;
        if (severity === "error" && costs !== "nothing") this.isWithheld = true;
        this.problems.push(
          problem(severity, this.gateway.key, reason, message, {
            ...rest,
            path: field ? `${options}.${field}` : options,
            ...(severity === "error" && { costs }),
            statusText: `${level} ${severity === "error" ? "Error: ProcessingError" : "Warning: InvalidDestinationWarning"}. Reason: ${message}`,
          }),
        );
      };
    const { world } = this.context;
    return {
      world,
      report: new Report(this.gateway.key),
      path,
      http,
      gateway: this.gateway,
      listener: this.gateway.spec?.options,
      refuse: report("error"),
      warn: report("warning"),
    };
  }

  reportUnsupported(fields: readonly string[], path: string): void {
    for (const field of fields) {
      const { message, details } = withoutEffect(field);
      this.problems.push(problem("warning", this.gateway.key, "OptionNotSupported", message, { path: `${path}.${field}`, ...details }));
    }
  }

  error(path: string, reason: "BindAddressInvalid" | "ListenerRefusedByEnvoy", message: string): void {
    this.isWithheld = true;
    const statusText = `Listener Error: ProcessingError. Reason: ${message}`;
    this.problems.push(problem("error", this.gateway.key, reason, message, { ...(path && { path }), costs: "listener", statusText }));
  }
}

/**
 * Gloo's order with isolation: those of a part by their hashes, and TCP last. Only after it is known who keeps a name that several claim:
 * a hash is no reason for that.
 */
function inIsolatedOrder(chains: readonly PlacedChain[]): readonly PlacedChain[] {
  const isTcp = ({ part }: PlacedChain) => part.endsWith("tcpGateway");
  const parts = Map.groupBy(chains, ({ part }) => part);
  const ranked = [...parts.values()].flatMap((its) => its.sort(({ rank: a = "" }, { rank: b = "" }) => (a < b ? -1 : a > b ? 1 : 0)));
  return [...ranked.filter((each) => !isTcp(each)), ...ranked.filter(isTcp)];
}

/** `::`, however it is written, and IPv4 addresses as IPv6 ones. */
const isOfBothVersions = /^[0:]+$|^::ffff:\d+\./i;

/** What Go reads as a boolean; undefined where it reads none. */
function goBool(text: string | undefined): boolean | undefined {
  if (text === undefined || !/^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(text)) return undefined;
  return /^[1tT]/.test(text);
}

/** Only server names: the connection is chosen by them and passed on unread. */
function isPassthrough(ssl: SslConfig): boolean {
  return ssl.sslSecrets.case === undefined && ssl.sniDomains.length > 0;
}

// One virtual host of the model → the bytes of Envoy's. Pure; knows no feature and no Upstream type by name.
//
// What cannot be used costs as little as possible: an option of a route is left out, a route that Envoy would refuse answers as
// `invalidConfigPolicy` says (or is left out, where its matcher is the cause), and only an unusable option of the virtual host
// itself, which may protect something, withholds it all.
import { create, toBinary } from "@bufbuild/protobuf";
import { violationsOf } from "../envoy/constraints.ts";
import { sortedMap, versionOf } from "../envoy/encode.ts";
import {
  type Route,
  type VirtualHost,
  VirtualHost_TlsRequirementType,
  VirtualHostSchema,
} from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { HttpListenerOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/http_listener_options_pb.js";
import { type VirtualHostOptions, VirtualHostOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import { type Problem, Report } from "../model/problem.ts";
import type { Ref, ResourceKey } from "../model/ref.ts";
import { domainKey, type ModelVirtualHost } from "../model/virtual-host.ts";
import type { OptionContext, OptionFinding, VirtualHostDraft } from "../plugin/feature.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { World } from "../plugin/world.ts";
import { Findings, optionAt } from "./findings.ts";
import { fallbackCluster, invalidRoutePolicy } from "./invalid-routes.ts";
import { useOf, withoutEffect } from "./options.ts";
import { translateRoute } from "./route.ts";

export interface HostContext {
  readonly world: World;
  readonly plugins: Plugins;
  /** Options of the HTTP listener that serves this host. */
  readonly http?: HttpListenerOptions;
  /** The listener terminates TLS. */
  readonly requireTls?: boolean;
  /** Domains that another virtual host of the listener has, by their keys. */
  readonly lostDomains?: ReadonlySet<string>;
  /** False for an Upstream whose cluster is not sent. */
  readonly hasCluster?: (upstream: Ref) => boolean;
  /** Nobody may ask for the bytes: they are made when somebody does. */
  readonly encodesLater?: boolean;
  /** The Gateway's `routeOptions.maxDirectResponseBodySizeBytes`. */
  readonly maxDirectResponseBytes?: number;
}

export interface EncodedVirtualHost {
  readonly name: string;
  /** Absent when the host is withheld. */
  readonly bytes?: Uint8Array;
  /** Of the bytes. Absent, too, when those are made later. */
  readonly version?: string;
  readonly problems: readonly Problem[];
  readonly owners: readonly ResourceKey[];
  /** A route leads to the fallback cluster, so its listener must be there. */
  readonly usesFallback: boolean;
  /** The HTTP filters that it and its routes configure, by name; only where unused ones are left out. */
  readonly configured?: readonly string[];
  /** What it was made from: kept only where one answer is wanted, since what runs would keep it for ever. */
  readonly model?: ModelVirtualHost;
}

/** Envoy's names of virtual hosts and routes have no dots. */
export function envoyName(name: string): string {
  return name.replaceAll(".", "_");
}

export function envoyVirtualHost(model: ModelVirtualHost, context: HostContext): EncodedVirtualHost {
  const findings = new Findings(model.resource);
  const name = envoyName(model.host.name);
  const done = (bytes?: Uint8Array, usesFallback = false): EncodedVirtualHost => ({
    name,
    ...(bytes && { bytes, version: versionOf(bytes) }),
    problems: findings.problems,
    owners: model.owners,
    usesFallback,
    ...(context.encodesLater && { model }),
  });
  const keys = model.host.domains.map(domainKey);
  const domains = model.host.domains.filter(
    (_, i) => !context.lostDomains?.has(keys[i] as string) && keys.indexOf(keys[i] as string) === i,
  );
  checkDomains(model, domains, findings);
  if (domains.length === 0) return done();
  const policy = invalidRoutePolicy(context.world.settings, context.maxDirectResponseBytes);
  const ofRoutes = { ...context, policy, findings };
  const routes = model.routes.flatMap((route, i) => translateRoute(route, `${name}-route-${i}`, model.host.options, ofRoutes));
  const draft: VirtualHostDraft = {
    name,
    domains,
    routes,
    ...(context.requireTls && { requireTls: VirtualHost_TlsRequirementType.ALL }),
  };
  const refined = applyOptions(draft, name, model, context, findings);
  if (refined === undefined) return done();
  const message = create(VirtualHostSchema, {
    ...refined,
    routes: [],
    ...(refined.typedPerFilterConfig && { typedPerFilterConfig: sortedMap(refined.typedPerFilterConfig as Record<string, never>) }),
  });
  // The routes are messages already, and have been checked one by one.
  const [violation] = violationsOf(VirtualHostSchema, message);
  message.routes = refined.routes as Route[];
  if (violation) {
    const at = { resource: model.resource, path: "virtualHost" };
    findings.add("error", at, at.path, "RouteRefusedByEnvoy", `Envoy would refuse ${violation.path}: ${violation.message}`, {
      costs: "virtualHost",
      hint: "correct the value; until then this virtual host is withheld, or stays as it was last good",
    });
    return done();
  }
  const fallsBack = routes.some(usesFallback);
  const configured = context.world.settings.gloo?.removeUnusedFilters ? { configured: configuredIn(message) } : {};
  if (!context.encodesLater) return { ...done(toBinary(VirtualHostSchema, message), fallsBack), ...configured };
  let bytes: Uint8Array | undefined;
  return Object.defineProperty({ ...done(undefined, fallsBack), ...configured }, "bytes", {
    enumerable: true,
    get: () => (bytes ??= toBinary(VirtualHostSchema, message)),
  });
}

/** The filters that are configured below the listener, by name. */
function configuredIn({ typedPerFilterConfig, routes }: VirtualHost): readonly string[] {
  const names = new Set(Object.keys(typedPerFilterConfig));
  const add = (each: { readonly typedPerFilterConfig: object }) => {
    for (const name of Object.keys(each.typedPerFilterConfig)) names.add(name);
  };
  for (const route of routes) {
    add(route);
    const to = route.action.case === "route" ? route.action.value.clusterSpecifier : undefined;
    if (to?.case === "weightedClusters") to.value.clusters.forEach(add);
  }
  return [...names].sort();
}

function usesFallback({ action }: Route): boolean {
  if (action.case !== "route") return false;
  const to = action.value.clusterSpecifier;
  return to.case === "weightedClusters" ? to.value.clusters.some((each) => each.name === fallbackCluster) : to.value === fallbackCluster;
}

/** Envoy takes these, and never matches them. */
function checkDomains(model: ModelVirtualHost, domains: readonly string[], findings: Findings): void {
  for (const domain of domains) {
    const stars = domain.split("*").length - 1;
    const isWild = stars === 0 || (stars === 1 && (domain.startsWith("*") || domain.endsWith("*")));
    const fault = !isWild
      ? "a star stands alone, in front or at the end; elsewhere it is taken literally"
      : /[\s/]/.test(domain)
        ? "a host name has no scheme, path or space; no request has this one"
        : undefined;
    if (fault === undefined) continue;
    const at = { resource: model.resource, path: `virtualHost.domains[${model.host.domains.indexOf(domain)}]` };
    findings.add("warning", at, at.path, "DomainUnusable", `the domain ${JSON.stringify(domain)} matches nothing: ${fault}`);
  }
}

/** Undefined when an option cannot be used. */
function applyOptions(
  draft: VirtualHostDraft,
  name: string,
  model: ModelVirtualHost,
  { world, plugins, http }: HostContext,
  findings: Findings,
): VirtualHostDraft | undefined {
  const options = model.host.options;
  const use = useOf(VirtualHostOptionsSchema, "virtualHost", options, plugins.features);
  const own = { resource: model.resource, path: "virtualHost.options" };
  let isWithheld = false;
  let result = draft;
  for (const feature of use.features) {
    if (!feature.virtualHost) continue;
    const finding =
      (severity: "error" | "warning") =>
      (field: string, message: string, details: OptionFinding = {}) => {
        const { reason = "OptionInvalid", costs = "virtualHost", of: _, ...rest } = details;
        if (severity === "error" && costs === "virtualHost") isWithheld = true;
        const plugin = feature.glooName ?? feature.name;
        const statusText = `VirtualHost Error: ProcessingError. Reason: invalid virtual host [${name}] while processing plugin ${plugin}: ${message}`;
        // Without a field it is about all of it: options need not be written.
        const at = field === "" ? { resource: model.resource, path: "virtualHost" } : optionAt(own, model.optionsAt, field);
        findings.add(severity, at, "virtualHost", reason, message, {
          ...rest,
          ...(severity === "error" && { costs, statusText }),
        });
      };
    const report = new Report(model.resource);
    const context: OptionContext = { world, report, path: own.path, http, refuse: finding("error"), warn: finding("warning") };
    result = feature.virtualHost(result, options ?? noOptions, context);
    findings.problems.push(...report.problems);
    if (report.hasErrors) isWithheld = true;
  }
  for (const field of use.unsupported) {
    const { message, details } = withoutEffect(field);
    findings.add("warning", optionAt(own, model.optionsAt, field), "virtualHost", "OptionNotSupported", message, details);
  }
  return isWithheld ? undefined : result;
}

const noOptions: VirtualHostOptions = create(VirtualHostOptionsSchema);

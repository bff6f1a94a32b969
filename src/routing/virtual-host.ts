// One VirtualService as one Gateway of one proxy serves it: a virtual host in the words of Gloo's Proxy.
//
// Reads the VirtualService, the RouteTables and options it refers to, and nothing of its neighbours: who else claims its domains
// is domains.ts, whether a Gateway takes it at all is selection.ts.
import { create } from "@bufbuild/protobuf";
import { VirtualHostSchema as GatewayVirtualHostSchema } from "../gen/gloo/gloo/projects/gateway/api/v1/virtual_service_pb.js";
import { VirtualHostSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { type VirtualHostOptions, VirtualHostOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import { type Problem, Report } from "../model/problem.ts";
import { formatRef, type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { ModelVirtualHost } from "../model/virtual-host.ts";
import type { World } from "../plugin/world.ts";
import { flattenRoutes } from "./delegation.ts";
import { mergeOptions, type PlacedOptions } from "./options.ts";

export interface RoutedVirtualService {
  /** Absent when there is nothing to serve. */
  readonly host?: ModelVirtualHost;
  /** Findings by resource: the VirtualService, and each RouteTable met on the way (with an empty list when all is well). */
  readonly reports: ReadonlyMap<ResourceKey, readonly Problem[]>;
}

export function virtualHostOf(
  gateway: Pick<Resource<"Gateway">, "ref">,
  proxyName: string,
  virtualService: Resource<"VirtualService">,
  world: World,
): RoutedVirtualService {
  const { key, ref, spec } = virtualService;
  const own = new Report(key);
  if (spec === undefined) return { reports: new Map([[key, own.problems]]) };
  if (spec.virtualHost === undefined)
    own.warn("VirtualHostMissing", `virtual service [${formatRef(ref)}] does not specify a virtual host`, {
      hint: "add virtualHost with domains and routes",
    });
  const { domains, routes: written, options: ownOptions, externalOptionsConfig } = spec.virtualHost ?? create(GatewayVirtualHostSchema);
  const refs = externalOptionsConfig.case === "optionsConfigRefs" ? externalOptionsConfig.value.delegateOptions : [];
  const options = virtualHostOptions(ownOptions, refs, world, own);
  const flat = flattenRoutes(virtualService, written, `vs:${gateway.ref.name}_${proxyName}`, world);
  const reports = new Map<ResourceKey, readonly Problem[]>();
  for (const [resource, { problems }] of flat.reports) reports.set(resource, resource === key ? [...own.problems, ...problems] : problems);
  const host = create(VirtualHostSchema, {
    name: `${ref.namespace}.${ref.name}`,
    domains: domains.length === 0 ? ["*"] : domains,
    ...(options.options && { options: options.options }),
  });
  return {
    host: { resource: key, host, routes: flat.routes, optionsAt: options.at, owners: [...reports.keys()] },
    reports,
  };
}

function virtualHostOptions(
  own: VirtualHostOptions | undefined,
  refs: readonly { readonly name: string; readonly namespace: string }[],
  world: World,
  report: Report,
): PlacedOptions<VirtualHostOptions> {
  let merged: PlacedOptions<VirtualHostOptions> = { options: own, at: new Map() };
  for (const [i, ref] of refs.entries()) {
    const found = world.get("VirtualHostOption", ref);
    if (found?.spec === undefined) {
      report.warn("OptionsRefMissing", `list did not find virtualHostOption ${formatRef(ref)}`, {
        path: `virtualHost.optionsConfigRefs.delegateOptions[${i}]`,
      });
      continue;
    }
    const at = { resource: resourceKey("VirtualHostOption", ref), path: "options" };
    merged = mergeOptions(VirtualHostOptionsSchema, merged, { options: found.spec.options, at: new Map() }, at);
  }
  return merged;
}

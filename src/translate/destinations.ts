// Where a route leads: clusters by name, and what is to say about destinations that cannot be reached.
import type { JsonObject } from "@bufbuild/protobuf";
import { clusterName, imaginedService } from "../envoy/names.ts";
import type {
  ConsulServiceDestination,
  Destination,
  KubernetesServiceDestination,
} from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import type { Subset } from "../gen/gloo/gloo/projects/gloo/api/v1/subset_pb.js";
import type { Reason } from "../model/catalog.ts";
import { formatRef, type Ref } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { hintOfConsul, imaginedConsulService, knowsConsul } from "../plugin/consul-services.ts";
import { dataCentreKey, subsetSelectors, tagKey } from "../plugin/subsets.ts";
import type { World } from "../plugin/world.ts";

export interface ResolvedDestination {
  readonly cluster: string;
  /** Absent where the destination is not an Upstream that exists. */
  readonly upstream?: Resource<"Upstream">;
  /** The cluster will not be there. */
  readonly isMissing: boolean;
  readonly metadataMatch?: { readonly filterMetadata: { readonly "envoy.lb": JsonObject } };
  readonly findings: readonly DestinationFinding[];
}

export interface DestinationFinding {
  readonly severity: "warning" | "error";
  readonly reason: Reason;
  readonly message: string;
  /** Below the destination. */
  readonly field: string;
  readonly hint?: string;
}

/** What translation knows of the clusters that are sent. */
export type HasCluster = (upstream: Ref) => boolean;

export function resolveDestination(destination: Destination | undefined, world: World, hasCluster: HasCluster): ResolvedDestination {
  const type = destination?.destinationType;
  switch (type?.case) {
    case "upstream":
      return withSubset(upstreamDestination(type.value, world, hasCluster), destination?.subset);
    case "kube":
      return withSubset(kubeDestination(type.value, world), destination?.subset);
    case "consul":
      return withSubset(consulDestination(type.value, world, hasCluster), destination?.subset);
    default: {
      const message = "no destination type specified";
      const found = { reason: "DestinationMissing", message, field: "", hint: "name an upstream, kube or consul service" } as const;
      return {
        cluster: "",
        isMissing: true,
        findings: [
          { severity: "warning", ...found },
          { severity: "error", ...found },
        ],
      };
    }
  }
}

function upstreamDestination(ref: Ref, world: World, hasCluster: HasCluster): ResolvedDestination {
  const upstream = world.get("Upstream", ref);
  const cluster = clusterName(ref);
  if (upstream === undefined) return { cluster, isMissing: true, findings: [notFound(ref, "upstream", "Upstream")] };
  return { cluster, upstream, isMissing: !hasCluster(ref), findings: [] };
}

/** The Upstream that Gloo imagines for each port of a Service. */
export function kubeDestinationRef({ ref, port }: KubernetesServiceDestination): Ref {
  return imaginedService(ref ?? { namespace: "", name: "" }, port);
}

function kubeDestination(destination: KubernetesServiceDestination, world: World): ResolvedDestination {
  const imagined = kubeDestinationRef(destination);
  const service = destination.ref && world.get("Service", destination.ref);
  const ports = (service?.spec as { spec?: { ports?: { port?: number }[] }; ports?: { port?: number }[] } | undefined) ?? {};
  const list = ports.spec?.ports ?? ports.ports ?? [];
  const exists = list.some((each) => each.port === destination.port) && world.settings.gloo?.disableKubernetesDestinations !== true;
  const hint =
    service && destination.ref && list.length > 0
      ? `the Service ${formatRef(destination.ref)} has the ports ${list.map((each) => each.port).join(", ")}`
      : undefined;
  const upstream = world.get("Upstream", imagined);
  return {
    cluster: clusterName(imagined),
    ...(upstream && { upstream }),
    isMissing: !exists,
    findings: exists ? [] : [{ ...notFound(imagined, "kube", "Upstream"), ...(hint && { hint }) }],
  };
}

/**
 * Whether the service exists is known to Consul only: it has an Upstream then, which discovery makes in memory. Tags and data centres
 * pick endpoints by the labels that the type gives them: where the service is known, by all of these, and one that was not asked for
 * must be absent.
 */
function consulDestination(
  { serviceName, tags, dataCenters }: ConsulServiceDestination,
  world: World,
  hasCluster: HasCluster,
): ResolvedDestination {
  const ref = imaginedConsulService(serviceName);
  const upstream = world.get("Upstream", ref);
  const type = upstream?.spec?.upstreamType;
  const known = type?.case === "consul" ? type.value : undefined;
  const subset = {
    ...labels(tagKey, tags, known && (known.subsetTags.length > 0 ? known.subsetTags : known.serviceTags)),
    ...labels(dataCentreKey, dataCenters, known?.dataCenters),
  };
  const isUnknown = upstream === undefined && knowsConsul(world);
  const hasConsul = world.settings.consul?.serviceDiscovery !== undefined;
  return {
    cluster: clusterName(ref),
    isMissing: upstream === undefined ? isUnknown : !hasCluster(ref),
    findings: isUnknown ? [{ ...notFound(ref, "consul", "Upstream"), ...hintOfConsul(world) }] : [],
    ...(upstream && { upstream }),
    ...(hasConsul && Object.keys(subset).length > 0 && { metadataMatch: { filterMetadata: { "envoy.lb": subset } } }),
  };
}

function labels(keyOf: (name: string) => string, wanted: readonly string[], known: readonly string[] = wanted): Record<string, string> {
  if (wanted.length === 0) return {};
  return Object.fromEntries([...new Set(known)].sort().map((each) => [keyOf(each), wanted.includes(each) ? "1" : "0"]));
}

function notFound(ref: Ref, field: string, kind: string): DestinationFinding {
  const message = `*v1.${kind} { ${formatRef(ref)} } not found`;
  return { severity: "warning", reason: "UpstreamNotFound", message, field };
}

function withSubset(resolved: ResolvedDestination, subset: Subset | undefined): ResolvedDestination {
  if (subset === undefined || Object.keys(subset.values).length === 0) return resolved;
  // Tags and data centres of a Consul destination are a subset already, and the whole of one.
  const metadataMatch = resolved.metadataMatch ?? { filterMetadata: { "envoy.lb": { ...subset.values } } };
  const finding = resolved.upstream && subsetFinding(subset, resolved.upstream);
  return { ...resolved, metadataMatch, findings: finding ? [...resolved.findings, finding] : resolved.findings };
}

function subsetFinding(subset: Subset, upstream: Resource<"Upstream">): DestinationFinding | undefined {
  const selectors = upstream.spec && subsetSelectors(upstream.spec);
  const wanted = Object.keys(subset.values).sort().join(",");
  if (selectors === undefined)
    return {
      severity: "warning",
      reason: "SubsetUnknown",
      message: "route has a subset config, but the upstream does not",
      field: "subset",
    };
  if (selectors.some((keys) => [...keys].sort().join(",") === wanted)) return undefined;
  const known = selectors.filter((keys) => keys.length > 0).map((keys) => keys.join("+"));
  return {
    severity: "error",
    reason: "SubsetUnknown",
    message: "route has a subset config, but none of the subsets in the upstream match it",
    field: "subset",
    hint: `the Upstream ${formatRef(upstream.ref)} has subsets by ${known.join(", ") || "nothing"}`,
  };
}

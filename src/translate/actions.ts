// What a route does, as Envoy takes it: forward, redirect, or answer at once.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { dynamicForwardProxyCluster } from "../envoy/dynamic-forward-proxy.ts";
import { patternFault, regexRewrite } from "../envoy/regex.ts";
import type {
  RouteActionSchema,
  RouteSchema,
  WeightedCluster_ClusterWeightSchema,
} from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { DestinationSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/destination_spec_pb.js";
import type {
  DirectResponseAction,
  MultiDestination,
  RedirectAction,
  Route,
  RouteAction,
  WeightedDestination,
} from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import type { WeightedDestinationOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/weighted_destination_options_pb.js";
import type { Reason } from "../model/catalog.ts";
import { destinationsOf } from "../model/destination.ts";
import { formatRef } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { WeightedClusterDraft } from "../plugin/feature.ts";
import type { World } from "../plugin/world.ts";
import { type DestinationFinding, type HasCluster, resolveDestination } from "./destinations.ts";
import { fallbackCluster, type InvalidRoutePolicy } from "./invalid-routes.ts";
import { pathFault, rewriteFault } from "./path.ts";

export type ActionInit = NonNullable<MessageInitShape<typeof RouteSchema>["action"]>;
type RouteActionInit = MessageInitShape<typeof RouteActionSchema>;

export interface ActionFinding extends DestinationFinding {
  /** Envoy would refuse the route. */
  readonly refused?: boolean;
  /** The cause is another resource. */
  readonly elsewhere?: boolean;
}

export interface TranslatedAction {
  readonly action: ActionInit;
  readonly findings: readonly ActionFinding[];
  /** Of a route to exactly one Upstream. */
  readonly upstream?: Resource<"Upstream">;
  readonly destinationSpec?: DestinationSpec;
}

export interface ActionContext {
  readonly world: World;
  readonly hasCluster: HasCluster;
  readonly policy: InvalidRoutePolicy;
  readonly maxProgramSize: number | undefined;
  readonly maxDirectResponseBytes: number;
  readonly dynamicForwardProxy: Parameters<typeof dynamicForwardProxyCluster>[0];
  /** Adds the options of a weighted destination, and what its Upstream wants. */
  readonly weighted: (cluster: WeightedClusterDraft, weighted: Weighted) => WeightedClusterDraft;
}

export interface Weighted {
  readonly options: WeightedDestinationOptions | undefined;
  readonly upstream: Resource<"Upstream"> | undefined;
  readonly destinationSpec: DestinationSpec | undefined;
  /** Of the weighted destination. */
  readonly field: string;
}

export function translateAction(route: Route, context: ActionContext): TranslatedAction {
  switch (route.action.case) {
    case "redirectAction":
      return redirect(route.action.value, context);
    case "directResponseAction":
      return directResponse(route.action.value, context);
    case "routeAction":
      return forward(route.action.value, context);
    default:
      return { action: { case: undefined }, findings: [] };
  }
}

function forward({ destination }: RouteAction, context: ActionContext): TranslatedAction {
  const { world, hasCluster, policy } = context;
  switch (destination.case) {
    case "single": {
      const resolved = resolveDestination(destination.value, world, hasCluster);
      const cluster = policy.replaces && resolved.isMissing ? fallbackCluster : resolved.cluster;
      const findings = resolved.findings.map((each) => ({
        ...each,
        field: join("routeAction.single", each.field),
        // A cluster without name would cost the whole route configuration.
        ...(each.severity === "error" && cluster === "" && { refused: true }),
      }));
      return {
        action: toCluster({ case: "cluster", value: cluster }, resolved.metadataMatch && { metadataMatch: resolved.metadataMatch }),
        findings,
        ...(resolved.upstream && { upstream: resolved.upstream }),
        ...(destination.value.destinationSpec && { destinationSpec: destination.value.destinationSpec }),
      };
    }
    case "multi":
      return multi(destination.value, context);
    case "upstreamGroup": {
      const group = world.get("UpstreamGroup", destination.value);
      if (group?.spec) return weightedClusters(destinationsOf(group), "routeAction.upstreamGroup", false, context);
      const message = `*v1.UpstreamGroup { ${formatRef(destination.value)} } not found`;
      return {
        action: toCluster({ case: "cluster", value: policy.replaces ? fallbackCluster : "" }),
        findings: [
          warning("UpstreamNotFound", "routeAction.upstreamGroup", message),
          {
            severity: "error",
            reason: "UpstreamNotFound",
            field: "routeAction.upstreamGroup",
            message: `upstream group not found, (Name: ${destination.value.name}, Namespace: ${destination.value.namespace})`,
            refused: !policy.replaces,
          },
        ],
      };
    }
    case "clusterHeader": {
      const name = destination.value;
      const findings = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)
        ? []
        : [warning("ClusterHeaderInvalid", "routeAction.clusterHeader", `${name} is an invalid HTTP header name`)];
      return { action: toCluster({ case: "clusterHeader", value: name }), findings };
    }
    case "dynamicForwardProxy":
      return { action: toCluster({ case: "cluster", value: dynamicForwardProxyCluster(context.dynamicForwardProxy) }), findings: [] };
    default: {
      const message =
        "must specify either 'singleDestination', 'multipleDestinations', 'upstreamGroup', 'clusterHeader', or 'dynamicForwardProxy' for action";
      return {
        action: { case: "route", value: {} },
        findings: [
          warning("DestinationMissing", "routeAction", message),
          { severity: "error", reason: "DestinationMissing", field: "routeAction", message: "the route has no destination", refused: true },
        ],
      };
    }
  }
}

function multi({ destinations }: MultiDestination, context: ActionContext): TranslatedAction {
  return weightedClusters(destinations, "routeAction.multi", true, context);
}

/** `isOwn`: the list is written in the route, so its items can be pointed at. */
function weightedClusters(
  destinations: readonly WeightedDestination[],
  field: string,
  isOwn: boolean,
  context: ActionContext,
): TranslatedAction {
  const findings: ActionFinding[] = [];
  const clusters = destinations.map(({ destination, weight, options }, i) => {
    const item = isOwn ? `${field}.destinations[${i}]` : field;
    const resolved = resolveDestination(destination, context.world, context.hasCluster);
    const name = context.policy.replaces && resolved.isMissing ? fallbackCluster : resolved.cluster;
    for (const each of resolved.findings) {
      const message = each.severity === "warning" ? `invalid destination in weighted destination list: ${each.message}` : each.message;
      // A cluster without name would cost the whole route configuration.
      const refused = each.severity === "error" && name === "";
      findings.push({ ...each, message, field: isOwn ? join(`${item}.destination`, each.field) : item, ...(refused && { refused }) });
    }
    const cluster = { name, weight: weight ?? 0, ...(resolved.metadataMatch && { metadataMatch: resolved.metadataMatch }) };
    return context.weighted(cluster, {
      options,
      upstream: resolved.upstream,
      destinationSpec: destination?.destinationSpec,
      field: isOwn ? item : field,
    });
  });
  const totalWeight = destinations.reduce((sum, { weight }) => sum + (weight ?? 0), 0);
  if (destinations.length === 0)
    findings.push({ ...weightsError(field, "must specify at least one weighted destination for multi destination routes"), refused: true });
  else if (totalWeight < 1)
    findings.push({
      ...weightsError(
        field,
        "Incorrect configuration for Weighted Destination for route - Weighted Destinations require a total weight that is greater than or equal to 1",
      ),
      refused: true,
    });
  else if (totalWeight > largestTotalWeight)
    findings.push({
      ...weightsError(field, `the weights sum to ${totalWeight}; Envoy takes at most ${largestTotalWeight}`),
      hint: "only the proportions count: use smaller weights",
      refused: true,
    });
  const value: { clusters: MessageInitShape<typeof WeightedCluster_ClusterWeightSchema>[]; totalWeight: number } = {
    clusters,
    totalWeight,
  };
  return { action: toCluster({ case: "weightedClusters", value }), findings };
}

const largestTotalWeight = 4_294_967_295;

function weightsError(field: string, message: string): ActionFinding {
  return { severity: "error", reason: "WeightsInvalid", field, message, hint: "give at least one destination a weight of 1 or more" };
}

function redirect(redirect: RedirectAction, context: ActionContext): TranslatedAction {
  const findings: ActionFinding[] = [];
  const { pathRewriteSpecifier: rewrite, hostRedirect, httpsRedirect, responseCode, stripQuery, portRedirect } = redirect;
  const fault = (field: string, message: string | undefined, refused = false) => {
    if (message === undefined) return;
    const reason: Reason = refused ? "RegexInvalid" : "PathInvalid";
    findings.push({ severity: "error", reason, field: `redirectAction.${field}`, message, refused });
  };
  if (hostRedirect !== "") {
    const wrong = pathFault(hostRedirect);
    fault("hostRedirect", wrong && `the path is invalid: ${wrong}`);
  }
  if (rewrite.case === "pathRedirect") {
    const wrong = pathFault(rewrite.value);
    fault("pathRedirect", wrong && `the path is invalid: ${wrong}`);
  }
  if (rewrite.case === "prefixRewrite") fault("prefixRewrite", rewriteFault(rewrite.value));
  if (rewrite.case === "regexRewrite") fault("regexRewrite.pattern.regex", patternFault(rewrite.value, context.maxProgramSize), true);
  if (portRedirect !== undefined && portRedirect > 65_535) fault("portRedirect", `${portRedirect} is no port`);
  return {
    action: {
      case: "redirect",
      value: {
        hostRedirect,
        responseCode: responseCode as number,
        schemeRewriteSpecifier: { case: "httpsRedirect", value: httpsRedirect },
        stripQuery,
        ...(portRedirect !== undefined && { portRedirect }),
        ...(rewrite.case === "pathRedirect" && { pathRewriteSpecifier: { case: "pathRedirect", value: rewrite.value } }),
        ...(rewrite.case === "prefixRewrite" && { pathRewriteSpecifier: { case: "prefixRewrite", value: rewrite.value } }),
        ...(rewrite.case === "regexRewrite" && {
          pathRewriteSpecifier: { case: "regexRewrite", value: regexRewrite(rewrite.value, context.maxProgramSize) },
        }),
      },
    },
    findings,
  };
}

function directResponse({ status, body }: DirectResponseAction, context: ActionContext): TranslatedAction {
  const bytes = Buffer.byteLength(body);
  const findings: ActionFinding[] =
    bytes <= context.maxDirectResponseBytes
      ? []
      : [
          {
            severity: "error",
            reason: "RouteRefusedByEnvoy",
            field: "directResponseAction.body",
            message: `response body size is ${bytes} bytes; maximum is ${context.maxDirectResponseBytes}`,
            hint: "raise routeOptions.maxDirectResponseBodySizeBytes of the Gateway",
            refused: true,
          },
        ];
  return { action: { case: "directResponse", value: { status, body: { specifier: { case: "inlineString", value: body } } } }, findings };
}

function toCluster(clusterSpecifier: RouteActionInit["clusterSpecifier"], more: Partial<RouteActionInit> = {}): ActionInit {
  return { case: "route", value: { ...more, clusterSpecifier } as RouteActionInit };
}

function warning(reason: Reason, field: string, message: string): ActionFinding {
  return { severity: "warning", reason, field, message };
}

function join(path: string, field: string): string {
  return field ? `${path}.${field}` : path;
}

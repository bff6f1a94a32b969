// One route of the model → Envoy's: one for each of its matchers.
import { create } from "@bufbuild/protobuf";
import { type Violation, violationsOf } from "../envoy/constraints.ts";
import { sortedMap } from "../envoy/encode.ts";
import { type Route, RouteSchema } from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { DestinationSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/destination_spec_pb.js";
import { type RouteOptions, RouteOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import type { VirtualHostOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import {
  type WeightedDestinationOptions,
  WeightedDestinationOptionsSchema,
} from "../gen/gloo/gloo/projects/gloo/api/v1/weighted_destination_options_pb.js";
import type { Reason } from "../model/catalog.ts";
import { Report } from "../model/problem.ts";
import { formatRef, parseResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { ModelRoute } from "../model/virtual-host.ts";
import type { DestinationDraft, WeightedClusterDraft } from "../plugin/feature.ts";
import type { RouteDraft } from "../plugin/upstream-type.ts";
import { type ActionFinding, translateAction, type Weighted } from "./actions.ts";
import { typedUpstream } from "./clusters.ts";
import { type Findings, optionAt } from "./findings.ts";
import { defaultBodyLimit, type InvalidRoutePolicy, invalidAction, replaced } from "./invalid-routes.ts";
import { type MatchFault, routeMatch } from "./match.ts";
import { useOf, withoutEffect } from "./options.ts";
import { originOf } from "./origin.ts";
import { rewriteFault } from "./path.ts";
import {
  DestinationOptionContext,
  destinationFeatures,
  noPlaces,
  RouteFindings,
  type RouteInMaking,
  RouteOptionContext,
} from "./route-findings.ts";
import type { HostContext } from "./virtual-host.ts";

export interface RouteTranslationContext extends HostContext {
  readonly policy: InvalidRoutePolicy;
  readonly findings: Findings;
}

export function translateRoute(
  model: ModelRoute,
  index: string,
  inherited: VirtualHostOptions | undefined,
  context: RouteTranslationContext,
): Route[] {
  const name = model.route.name ? `${index}-${model.route.name}` : index;
  const one = new OneRoute(model, name, inherited, context);
  const draft = one.build();
  return model.route.matchers.flatMap((_, j) => one.matched(draft, j) ?? []);
}

const gatewayLimit = defaultBodyLimit;

/** One route while it is built: what has been found wrong decides what is sent. */
class OneRoute implements RouteInMaking {
  readonly model: ModelRoute;
  readonly name: string;
  readonly inherited: VirtualHostOptions | undefined;
  readonly context: RouteTranslationContext;
  readonly maxProgramSize: number | undefined;
  /** Envoy would refuse it as it is. */
  isRefused = false;
  isReplaced = false;

  constructor(model: ModelRoute, name: string, inherited: VirtualHostOptions | undefined, context: RouteTranslationContext) {
    this.model = model;
    this.name = name;
    this.inherited = inherited;
    this.context = context;
    this.maxProgramSize = context.world.settings.gloo?.regexMaxProgramSize;
  }

  /** Everything but name and match. */
  build(): RouteDraft {
    const { world, plugins, http, hasCluster, policy } = this.context;
    const translated = translateAction(this.model.route, {
      world,
      policy,
      hasCluster: hasCluster ?? (() => true),
      maxProgramSize: this.maxProgramSize,
      maxDirectResponseBytes: this.context.maxDirectResponseBytes ?? gatewayLimit,
      dynamicForwardProxy: http?.dynamicForwardProxy,
      weighted: (cluster, weighted) => this.weighted(cluster, weighted),
    });
    for (const finding of translated.findings) this.actionFinding(finding);
    let draft: RouteDraft = { action: translated.action };
    const { options } = this.model.route;
    const use = useOf(RouteOptionsSchema, "route", options, plugins.features);
    const destination = this.model.route.action.case === "routeAction" ? this.model.route.action.value.destination : undefined;
    const proxied = destination?.case === "dynamicForwardProxy" ? destination.value : undefined;
    const asked = new RouteOptionContext(this, this.optionsPlace("options"), this.model.optionsAt, translated.upstream, proxied);
    for (const feature of use.features) {
      const earlier = draft;
      if (feature.route)
        draft = asked.ask(feature, (context) => feature.route?.(earlier, options ?? noOptions, this.inherited, context) ?? earlier);
    }
    for (const field of use.unsupported) {
      const at = optionAt(this.optionsPlace("options"), this.model.optionsAt, field);
      const { message, details } = withoutEffect(field);
      this.context.findings.add("warning", at, this.model.via, "OptionNotSupported", message, details);
    }
    const { upstream, destinationSpec } = translated;
    if (upstream) {
      const field = "routeAction.single";
      draft = this.function(draft, upstream, destinationSpec, field);
      draft = this.towards(draft, upstream, destinationSpec, field);
    }
    if (this.isRefused) return { action: invalidAction(policy) };
    const isUsable = this.hasUsableRewrite(draft);
    return policy.replaces && (this.isReplaced || !isUsable) ? replaced(draft) : draft;
  }

  /** What the type of the Upstream adds for the function that is called behind it. */
  function(draft: RouteDraft, upstream: Resource<"Upstream">, spec: DestinationSpec | undefined, field: string): RouteDraft {
    const { world, plugins } = this.context;
    const typed = typedUpstream(upstream, plugins, new Report(upstream.key));
    if (!typed?.type.route) {
      this.checkCall(upstream, spec, field);
      return draft;
    }
    const report = new Report(this.model.at.resource);
    const refined = typed.type.route(draft, typed.upstream, spec, { world, report });
    for (const { severity, reason, message, path, hint, elsewhere } of report.problems) {
      const place = `${field}.destinationSpec${path ? `.${path}` : ""}`;
      const more = { ...(hint && { hint }), ...(elsewhere && { elsewhere }), refused: severity === "error" };
      this.actionFinding({ severity, reason: reason as Reason, message, field: place, ...more });
    }
    return refined;
  }

  /** The same for one of several destinations, where only the configuration of filters can differ. */
  weightedFunction(
    cluster: WeightedClusterDraft,
    upstream: Resource<"Upstream">,
    spec: DestinationSpec | undefined,
    field: string,
  ): WeightedClusterDraft {
    const action: NonNullable<RouteDraft["action"]> = { case: "route", value: {} };
    const { typedPerFilterConfig, action: wanted } = this.function({ action }, upstream, spec, field);
    if (wanted !== action && !this.isRefused) {
      const message = `a function of ${formatRef(upstream.ref)} cannot be one of several destinations; requests are forwarded as they are`;
      this.context.findings.onRoute("warning", this.model, `${field}.destinationSpec`, "FunctionUnreachable", message);
      return cluster;
    }
    return typedPerFilterConfig
      ? { ...cluster, typedPerFilterConfig: { ...cluster.typedPerFilterConfig, ...typedPerFilterConfig } }
      : cluster;
  }

  /** Gloo sends a route with such a rewrite as it is, and calls it an error. */
  hasUsableRewrite({ action }: RouteDraft): boolean {
    const rewrite = action?.case === "route" ? (action.value?.prefixRewrite ?? "") : "";
    const fault = rewriteFault(rewrite);
    if (fault === undefined) return true;
    const { findings, policy } = this.context;
    const at = optionAt(this.optionsPlace("options"), this.model.optionsAt, "prefixRewrite");
    const severity = policy.replaces ? "warning" : "error";
    findings.add(severity, at, this.model.via, "PathInvalid", fault, { costs: "nothing", statusText: this.errorText(fault) });
    return false;
  }

  /** The route for one of its matchers; undefined when not even the matcher can be sent. */
  matched(draft: RouteDraft, j: number): Route | undefined {
    const matcher = this.model.route.matchers[j];
    if (matcher === undefined) return undefined;
    const { match, faults } = routeMatch(matcher, this.maxProgramSize);
    const name = `${this.name}-matcher-${j}`;
    for (const fault of faults) this.matchFault(fault, j, name);
    if (faults.some((each) => each.kind !== "path")) return undefined;
    const isReplaced = this.context.policy.replaces && faults.length > 0;
    const filters = draft.typedPerFilterConfig as Record<string, never> | undefined;
    const message = create(RouteSchema, {
      ...(isReplaced ? replaced(draft) : draft),
      name,
      match,
      ...(filters && { typedPerFilterConfig: sortedMap(filters) }),
    });
    const [violation] = violationsOf(RouteSchema, message);
    if (violation === undefined) return message;
    this.refusedByEnvoy(violation, j);
    if (violation.path.startsWith("match")) return undefined;
    return create(RouteSchema, { name, match, action: invalidAction(this.context.policy) });
  }

  /** What the Upstream wants of a route, or a weighted cluster, that leads to it. */
  towards<D extends DestinationDraft>(draft: D, upstream: Resource<"Upstream">, spec: DestinationSpec | undefined, field: string): D {
    const asked = new DestinationOptionContext(this, this.optionsPlace(`${field}.destinationSpec`), upstream, spec);
    let result = draft;
    for (const feature of destinationFeatures(this.context.plugins.features)) {
      const earlier = result;
      result = asked.ask(feature, (context) => feature.destination?.(earlier, context) ?? earlier);
    }
    return result;
  }

  checkCall(upstream: Resource<"Upstream">, spec: DestinationSpec | undefined, field: string): void {
    const kind = spec?.destinationType.case;
    if (kind === undefined || this.context.plugins.features.some(({ calls }) => calls?.includes(kind))) return;
    const what = kind === "aws" ? "an AWS" : kind === "azure" ? "an Azure" : `a ${kind}`;
    this.actionFinding({
      severity: "error",
      reason: "FunctionNotFound",
      message: `${formatRef(upstream.ref)} is not ${what} upstream`,
      field: `${field}.destinationSpec.${kind}`,
      hint: "the request is forwarded as it is; remove destinationSpec, or lead the route to the Upstream that has the function",
    });
  }

  weighted(cluster: WeightedClusterDraft, { options, upstream, destinationSpec, field }: Weighted): WeightedClusterDraft {
    const own = options ? this.weightedOptions(cluster, options, `${field}.options`) : cluster;
    if (upstream === undefined) return own;
    const at = `${field}.destination`;
    const called = this.weightedFunction(own, upstream, destinationSpec, at);
    const draft = this.towards(called, upstream, destinationSpec, at);
    const filters = draft.typedPerFilterConfig as Record<string, never> | undefined;
    return filters ? { ...draft, typedPerFilterConfig: sortedMap(filters) } : draft;
  }

  weightedOptions(cluster: WeightedClusterDraft, options: WeightedDestinationOptions, field: string): WeightedClusterDraft {
    const use = useOf(WeightedDestinationOptionsSchema, "weightedDestination", options, this.context.plugins.features);
    const asked = new RouteFindings(this, this.optionsPlace(field), noPlaces);
    let draft = cluster;
    for (const feature of use.features) {
      const earlier = draft;
      draft = asked.ask(feature, (context) => feature.weightedDestination?.(earlier, options, context) ?? earlier);
    }
    for (const each of use.unsupported) {
      const { message, details } = withoutEffect(each);
      this.context.findings.onRoute("warning", this.model, `${field}.${each}`, "OptionNotSupported", message, details);
    }
    const filters = draft.typedPerFilterConfig as Record<string, never> | undefined;
    return filters ? { ...draft, typedPerFilterConfig: sortedMap(filters) } : draft;
  }

  optionsPlace(field: string) {
    return { resource: this.model.at.resource, path: `${this.model.at.path}.${field}` };
  }

  errorText(message: string, name = `${this.name}-matcher-0`): string {
    return `Route Error: ProcessingError. Reason: ${message}. Route Name: ${name}`;
  }

  actionFinding({ severity, reason, message, field, hint, refused, elsewhere }: ActionFinding): void {
    if (refused) this.isRefused = true;
    const { findings, policy } = this.context;
    // Gloo calls a route that it has replaced a warning.
    const isReplaced = severity === "error" && policy.replaces;
    if (isReplaced) this.isReplaced = true;
    const shown = isReplaced ? "warning" : severity;
    findings.onRoute(shown, this.model, field, reason, message, {
      ...(hint && { hint }),
      ...(elsewhere && { elsewhere }),
      ...(severity === "warning"
        ? { statusText: `Route Warning: InvalidDestinationWarning. Reason: ${message}` }
        : { costs: refused ? "route" : "nothing", statusText: this.errorText(message) }),
    });
  }

  matchFault({ kind, field, message, hint, gloo }: MatchFault, j: number, name: string): void {
    const { findings, policy } = this.context;
    const at = `matchers[${j}]${field ? `.${field}` : ""}`;
    switch (kind) {
      case "path": {
        const severity = policy.replaces ? "warning" : "error";
        findings.onRoute(severity, this.model, at, "PathInvalid", message, {
          costs: "nothing",
          statusText: this.errorText(message, name),
          ...(hint && { hint }),
        });
        return;
      }
      case "missing":
        // Gloo calls it a warning where it replaces routes, although it cannot replace this one.
        findings.onRoute(policy.replaces ? "warning" : "error", this.model, at, "MatcherInvalid", message, {
          ...(policy.replaces ? { withholds: true } : { costs: "route" }),
          statusText: `Route Error: InvalidMatcherError. Reason: ${message}. Route Name: ${name}`,
          hint: "add prefix, exact or regex",
        });
        return;
      case "regex": {
        const { ref } = parseResourceKey(findings.virtualService);
        const statusText = `virtual service [${formatRef(ref)}] has a regex matcher with invalid regex, ${message}`;
        findings.onRoute("error", this.model, at, "RegexInvalid", message, {
          costs: "route",
          ...(gloo && { statusText }),
          ...(hint && { hint }),
        });
      }
    }
  }

  refusedByEnvoy({ path, message }: Violation, j: number): void {
    if (this.isRefused) return;
    this.isRefused = true;
    const { findings } = this.context;
    const text = `Envoy would refuse ${path}: ${message}`;
    const hint = "correct the value; until then this route alone is out of service";
    const origin = path.startsWith("match") ? `matchers[${j}]` : originOf(path);
    if (origin.startsWith("options.")) {
      const at = optionAt(this.optionsPlace("options"), this.model.optionsAt, origin.slice("options.".length));
      findings.add("error", at, this.model.via, "RouteRefusedByEnvoy", text, { costs: "route", hint });
    } else findings.onRoute("error", this.model, origin, "RouteRefusedByEnvoy", text, { costs: "route", hint });
  }
}

const noOptions: RouteOptions = create(RouteOptionsSchema);

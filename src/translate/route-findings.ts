// What features are given on a route, and where what they find goes.
import type { DestinationSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/destination_spec_pb.js";
import { Report } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import type { ModelRoute, OptionPlaces, Written } from "../model/virtual-host.ts";
import type { DestinationContext, Feature, OptionContext, OptionFinding, RouteContext } from "../plugin/feature.ts";
import { type Findings, optionAt } from "./findings.ts";
import type { InvalidRoutePolicy } from "./invalid-routes.ts";
import type { HostContext } from "./virtual-host.ts";

/** The route that is being made. */
export interface RouteInMaking {
  readonly model: ModelRoute;
  readonly context: HostContext & { readonly findings: Findings; readonly policy: InvalidRoutePolicy };
  /** Envoy would refuse it as it is. */
  isRefused: boolean;
  /** It has an error, and `invalidConfigPolicy` wants such routes replaced. */
  isReplaced: boolean;
  errorText(message: string): string;
}

export const noPlaces: OptionPlaces = new Map();

/**
 * What features are given on a route, one after the other: there are thousands of routes, and nearly no feature has anything to say.
 * All of it is the object's own, as features hand it on with a spread.
 */
export class RouteFindings implements OptionContext {
  readonly world: OptionContext["world"];
  readonly http: OptionContext["http"];
  readonly path: string;
  readonly report: Report;
  readonly refuse: OptionContext["refuse"] = (field, message, details) => this.#find("error", field, message, details);
  readonly warn: OptionContext["warn"] = (field, message, details) => this.#find("warning", field, message, details);
  readonly #route: RouteInMaking;
  /** Whose turn it is. */
  #feature: Feature | undefined;
  readonly #own: Written;
  readonly #places: OptionPlaces;

  constructor(route: RouteInMaking, own: Written, places: OptionPlaces) {
    this.world = route.context.world;
    this.http = route.context.http;
    this.path = own.path;
    this.report = new Report(route.model.at.resource);
    this.#route = route;
    this.#own = own;
    this.#places = places;
  }

  /** Has a feature look, and passes on what it reports. */
  ask<T>(feature: Feature, look: (context: this) => T): T {
    this.#feature = feature;
    const made = look(this);
    const { problems } = this.report;
    if (problems.length > 0) this.#route.context.findings.problems.push(...problems.splice(0));
    return made;
  }

  #find(severity: "error" | "warning", field: string, message: string, details: OptionFinding = {}): void {
    const route = this.#route;
    const feature = this.#feature?.glooName ?? this.#feature?.name;
    const { reason = "OptionInvalid", costs = "option", of, ...rest } = details;
    if (severity === "error" && costs === "route") route.isRefused = true;
    // Gloo calls a route that it has replaced a warning.
    const isReplaced = severity === "error" && costs === "option" && route.context.policy.replaces;
    if (isReplaced) route.isReplaced = true;
    const { model } = route;
    const at = of
      ? { resource: model.at.resource, path: `${model.at.path}.${field}` }
      : field === ""
        ? this.#own
        : optionAt(this.#own, this.#places, field);
    route.context.findings.add(isReplaced ? "warning" : severity, at, route.model.via, reason, message, {
      ...rest,
      ...(severity === "error" && { statusText: route.errorText(`*${feature}.plugin: ${message}`) }),
      ...(severity === "error" && !isReplaced && { costs }),
    });
  }
}

export class RouteOptionContext extends RouteFindings implements RouteContext {
  readonly upstream: RouteContext["upstream"];
  readonly proxied: RouteContext["proxied"];

  constructor(
    route: RouteInMaking,
    own: Written,
    places: OptionPlaces,
    upstream: RouteContext["upstream"],
    proxied: RouteContext["proxied"],
  ) {
    super(route, own, places);
    this.upstream = upstream;
    this.proxied = proxied;
  }
}

export class DestinationOptionContext extends RouteFindings implements DestinationContext {
  readonly upstream: Resource<"Upstream">;
  readonly call: DestinationContext["call"];
  readonly matchedPath: string | undefined;

  constructor(route: RouteInMaking, own: Written, upstream: Resource<"Upstream">, spec: DestinationSpec | undefined) {
    super(route, own, noPlaces);
    this.upstream = upstream;
    this.call = spec?.destinationType ?? noCall;
    const matched = route.model.route.matchers[0]?.pathSpecifier.value;
    this.matchedPath = typeof matched === "string" ? matched : undefined;
  }
}

const noCall: DestinationContext["call"] = { case: undefined };

const forDestinations = new WeakMap<readonly Feature[], readonly Feature[]>();

/** Those that have something to say about destinations. Found once for a list of features. */
export function destinationFeatures(features: readonly Feature[]): readonly Feature[] {
  const known = forDestinations.get(features) ?? features.filter((each) => each.destination);
  forDestinations.set(features, known);
  return known;
}

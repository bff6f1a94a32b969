// The routes of a VirtualService with those of the RouteTables it delegates to, flattened.
//
// Findings go to the resource that holds the text, and once more to the VirtualService, as in Gloo. A finding of the class error
// costs its route only; the VirtualService is served without it.
import { create } from "@bufbuild/protobuf";
import type { Route } from "../gen/gloo/gloo/projects/gateway/api/v1/virtual_service_pb.js";
import type { Matcher } from "../gen/gloo/gloo/projects/gloo/api/v1/core/matchers/matchers_pb.js";
import {
  MultiDestinationSchema,
  type RouteAction,
  RouteActionSchema,
  RouteSchema,
} from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { type RouteOptions, RouteOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import type { Reason } from "../model/catalog.ts";
import { destinationIn, destinationsIn } from "../model/destination.ts";
import type { ProblemDetails } from "../model/problem.ts";
import { Report } from "../model/problem.ts";
import { formatRef, type Ref, type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { ModelRoute, Written } from "../model/virtual-host.ts";
import type { World } from "../plugin/world.ts";
import { withInheritedTransformations } from "./inherited-transformations.ts";
import { compareSpecificity, delegatingMatcher, everyPath, inherited, outsideParent } from "./matchers.ts";
import { mergeOptions, type PlacedOptions } from "./options.ts";
import { byWeight, selectTables } from "./table-selection.ts";

const deepest = 100;
const mostRoutes = 100_000;
const mostTables = 10_000;
const mostFindings = 200;

export interface FlatRoutes {
  readonly routes: readonly ModelRoute[];
  /** Of the VirtualService and of each RouteTable met on the way, also those without findings. */
  readonly reports: ReadonlyMap<ResourceKey, Report>;
}

/** `prefix` begins the names of routes: `vs:<gateway>_<proxy>`. */
export function flattenRoutes(
  virtualService: Resource<"VirtualService">,
  routes: readonly Route[],
  prefix: string,
  world: World,
): FlatRoutes {
  const visit = new Visit(virtualService, world);
  const { ref, key } = virtualService;
  const branch = {
    name: `${prefix}_${ref.namespace}_${ref.name}`,
    isNamed: false,
    tables: [],
    options: { options: undefined, at: new Map() },
    all: false,
    paths: false,
  };
  const found = visit.routesOf({ key, ref, path: "virtualHost.routes" }, routes, branch, undefined);
  return { routes: found, reports: visit.reports };
}

/** The list of routes that is being read. */
interface List {
  readonly key: ResourceKey;
  readonly ref: Ref;
  readonly path: string;
}

/** What a delegating route hands down. */
interface Branch {
  readonly name: string;
  readonly isNamed: boolean;
  readonly tables: readonly Resource<"RouteTable">[];
  /** Absent at the top. */
  readonly matcher?: Matcher;
  readonly options: PlacedOptions<RouteOptions>;
  readonly optionsAt?: Written;
  readonly all: boolean;
  readonly paths: boolean;
}

/** One walk through the tables. */
class Visit {
  readonly reports = new Map<ResourceKey, Report>();
  readonly virtualService: Resource<"VirtualService">;
  readonly world: World;
  count = 0;
  visited = 0;

  constructor(virtualService: Resource<"VirtualService">, world: World) {
    this.virtualService = virtualService;
    this.world = world;
    this.reportOf(virtualService.key);
  }

  routesOf(list: List, routes: readonly Route[], branch: Branch, via: string | undefined): ModelRoute[] {
    return routes.flatMap((route, i) => {
      const at = { resource: list.key, path: `${list.path}[${i}]` };
      return this.routesOfOne(list, route, i, at, branch, via ?? at.path);
    });
  }

  routesOfOne(list: List, route: Route, index: number, at: Written, branch: Branch, via: string): ModelRoute[] {
    const all = route.inheritableMatchers ?? branch.all;
    const paths = route.inheritablePathMatchers ?? branch.paths;
    const matchers = branch.matcher ? inherited(route.matchers, branch.matcher, all, paths) : route.matchers;
    for (const [i, matcher] of branch.matcher ? matchers.entries() : []) {
      const fault = branch.matcher && outsideParent(matcher, branch.matcher);
      if (fault === undefined) continue;
      const path = route.matchers.length > 0 ? `${at.path}.matchers[${i}]` : at.path;
      this.warn(list, via, "ChildMatcherIncompatible", fault, {
        path,
        hint: `the route that delegates here has the prefix ${JSON.stringify(branch.matcher?.pathSpecifier.value)}`,
      });
      return [];
    }
    const options = this.optionsOf(list, route, at, branch, via);
    const isNamed = branch.isNamed || route.name !== "";
    const name = `${branch.name}_route:${route.name || `<unnamed-${index}>`}`;
    if (route.action.case === "delegateAction") {
      const delegating = delegatingMatcher(matchers);
      if ("fault" in delegating) {
        this.error(list, via, "DelegateMatcherInvalid", delegating.fault, { path: `${at.path}.matchers`, costs: "route" });
        return [];
      }
      const optionsAt = { resource: list.key, path: `${at.path}.options` };
      const child: Branch = { name, isNamed, tables: branch.tables, matcher: delegating.matcher, options, optionsAt, all, paths };
      return this.delegated(list, route.action.value, at, child, via);
    }
    return this.leaf(list, route, at, matchers, options, isNamed ? name : "", via);
  }

  delegated(
    list: List,
    action: Extract<Route["action"], { case: "delegateAction" }>["value"],
    at: Written,
    branch: Branch,
    via: string,
  ): ModelRoute[] {
    if (this.visited > mostTables) return [];
    const selected = selectTables(action, list.ref.namespace, this.world);
    if ("fault" in selected) {
      const { reason, message, path, hint } = selected.fault;
      this.warn(list, via, reason, message, { path: `${at.path}.${path}`, ...(hint && { hint }) });
      return [];
    }
    return byWeight(selected.tables).flatMap((group) => {
      const routes = group.flatMap((table) => this.routesOfTable(list, table, at, branch, via));
      return group.length > 1 ? routes.sort((a, b) => compareSpecificity(a.route.matchers, b.route.matchers)) : routes;
    });
  }

  routesOfTable(list: List, table: Resource<"RouteTable">, at: Written, branch: Branch, via: string): ModelRoute[] {
    if (branch.tables.some((each) => each.key === table.key)) {
      const circle = [...branch.tables, table].map((each) => `[${formatRef(each.ref)}]`).join(" -> ");
      const report = { key: table.key, ref: table.ref, path: "routes" };
      this.error(report, via, "DelegationCycle", `invalid route: delegation cycle detected: ${circle}`, {
        path: "routes",
        costs: "route",
        hint: `the circle closes at ${at.path} of ${list.key}`,
      });
      return [];
    }
    if (branch.tables.length >= deepest || ++this.visited > mostTables) {
      this.tooLarge(list, at, via);
      return [];
    }
    this.reportOf(table.key);
    const { namespace, name } = table.ref;
    const child = { ...branch, name: `${branch.name}_rt:${namespace}_${name}`, tables: [...branch.tables, table] };
    return this.routesOf({ key: table.key, ref: table.ref, path: "routes" }, table.spec?.routes ?? [], child, via);
  }

  tooLarge(list: List, at: Written, via: string): void {
    const message = `this delegates more than ${deepest} tables deep, or to more than ${mostTables} tables or ${mostRoutes} routes; what is beyond is left out`;
    if (!this.reportOf(list.key).problems.some((each) => each.reason === "DelegationTooLarge"))
      this.error(list, via, "DelegationTooLarge", message, { path: `${at.path}.delegateAction`, costs: "route" });
  }

  leaf(
    list: List,
    route: Route,
    at: Written,
    matchers: readonly Matcher[],
    { options, at: optionsAt }: PlacedOptions<RouteOptions>,
    name: string,
    via: string,
  ): ModelRoute[] {
    if (++this.count > mostRoutes) {
      this.tooLarge(list, at, via);
      return [];
    }
    const { action } = route;
    if (action.case === undefined || action.case === "delegateAction") {
      this.error(list, via, "ActionMissing", "invalid route: route must specify an action", {
        path: at.path,
        costs: "route",
        hint: "add routeAction, redirectAction, directResponseAction or delegateAction",
      });
      return [];
    }
    const model = create(RouteSchema, {
      matchers: matchers.length === 0 ? [everyPath()] : [...matchers],
      action: action.case === "routeAction" ? { case: "routeAction", value: inNamespace(action.value, list.ref.namespace) } : action,
      ...(options && { options }),
      name,
    });
    return [{ route: model, at, optionsAt, via }];
  }

  /** The route's own options first, then those it refers to, then its parent's. */
  optionsOf(list: List, route: Route, at: Written, branch: Branch, via: string): PlacedOptions<RouteOptions> {
    let merged: PlacedOptions<RouteOptions> = { options: route.options, at: new Map() };
    const refs = route.externalOptionsConfig.case === "optionsConfigRefs" ? route.externalOptionsConfig.value.delegateOptions : [];
    for (const [i, ref] of refs.entries()) {
      const found = this.world.get("RouteOption", ref);
      if (found?.spec === undefined) {
        const path = `${at.path}.optionsConfigRefs.delegateOptions[${i}]`;
        this.warn(list, via, "OptionsRefMissing", `list did not find routeOption ${formatRef(ref)}`, { path });
        continue;
      }
      const where = { resource: resourceKey("RouteOption", ref), path: "options" };
      merged = mergeOptions(RouteOptionsSchema, merged, { options: found.spec.options, at: new Map() }, where);
    }
    if (!branch.optionsAt) return merged;
    const { options, at: places } = mergeOptions(RouteOptionsSchema, merged, branch.options, branch.optionsAt);
    return { options: withInheritedTransformations(options, branch.options.options), at: places };
  }

  warn(list: List, via: string, reason: Reason, message: string, details: ProblemDetails): void {
    this.add("warn", list, via, reason, message, details);
  }

  error(list: List, via: string, reason: Reason, message: string, details: ProblemDetails): void {
    this.add("error", list, via, reason, message, details);
  }

  /** Tables that select each other meet in more ways than anybody wants to read. */
  add(kind: "warn" | "error", list: List, via: string, reason: Reason, message: string, details: ProblemDetails): void {
    if (this.reportOf(list.key).problems.length >= mostFindings) return;
    this.reportOf(list.key)[kind](reason, message, details);
    const own = this.reportOf(this.virtualService.key);
    if (list.key === this.virtualService.key || own.problems.length >= mostFindings) return;
    own[kind]("SubTableProblem", `on sub route table ${formatRef(list.ref)}: ${message}`, {
      path: via,
      costs: details.costs ?? "route",
      elsewhere: true,
      repeats: list.key,
    });
  }

  reportOf(key: ResourceKey): Report {
    let report = this.reports.get(key);
    if (report === undefined) {
      report = new Report(key);
      this.reports.set(key, report);
    }
    return report;
  }
}

/** A destination without namespace is in that of the resource which holds the route. */
function inNamespace(action: RouteAction, namespace: string): RouteAction {
  const { destination } = action;
  switch (destination.case) {
    case "single": {
      const value = destinationIn(destination.value, namespace);
      return value === destination.value ? action : create(RouteActionSchema, { destination: { case: "single", value } });
    }
    case "multi": {
      const destinations = destinationsIn(destination.value.destinations, namespace);
      return create(RouteActionSchema, { destination: { case: "multi", value: create(MultiDestinationSchema, { destinations }) } });
    }
    case "upstreamGroup":
      if (destination.value.namespace !== "") return action;
      return create(RouteActionSchema, { destination: { case: "upstreamGroup", value: { name: destination.value.name, namespace } } });
    default:
      return action;
  }
}

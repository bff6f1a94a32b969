// `get vs route NAME`: the routes of a VirtualService or RouteTable, with the numbers that `add route` and `remove route` take.
import type { ResourceView } from "../admin/contract.ts";
import { table } from "../lib/table.ts";

// biome-ignore lint/suspicious/noExplicitAny: a spec in JSON, of which we read a few fields and trust none
type Spec = any;

export function routesOf({ kind, spec }: ResourceView): readonly unknown[] {
  const own = spec as Spec;
  const routes = kind === "VirtualService" ? own?.virtualHost?.routes : own?.routes;
  return Array.isArray(routes) ? routes : [];
}

export function routesTable(routes: readonly unknown[]): string {
  return table(
    ["INDEX", "NAME", "MATCHERS", "TYPES", "VERBS", "HEADERS", "ACTION"],
    routes.map((route: Spec, index) => {
      const matchers = listOf(route?.matchers);
      // Without matchers, all is matched.
      const all: readonly Spec[] = matchers.length > 0 ? matchers : [{ prefix: "/" }];
      return [
        String(index),
        route?.name ?? "",
        all.map((each) => each?.prefix ?? each?.exact ?? each?.regex ?? "").join(", "),
        all.map(typeOf).join(", "),
        all.map((each) => listOf(each?.methods).join(" ") || "*").join(", "),
        all.flatMap((each) => listOf(each?.headers).map((header: Spec) => `${header?.name}:${header?.value ?? ""}`)).join(", "),
        actionOf(route),
      ];
    }),
  );
}

function typeOf(matcher: Spec): string {
  if (matcher?.exact !== undefined) return "Exact Path";
  if (matcher?.regex !== undefined) return "Regex Path";
  return matcher?.connectMatcher === undefined ? "Path Prefix" : "CONNECT";
}

function actionOf(route: Spec): string {
  if (route?.redirectAction) return `redirect to ${route.redirectAction.hostRedirect ?? ""}${route.redirectAction.pathRedirect ?? ""}`;
  if (route?.directResponseAction) return `answer ${route.directResponseAction.status ?? ""}`;
  if (route?.delegateAction) {
    const { ref, selector, name, namespace } = route.delegateAction;
    if (ref || name) return `delegate to ${refText(ref ?? { name, namespace })}`;
    return `delegate to those with ${
      Object.entries(selector?.labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .join(",") || "any label"
    }`;
  }
  const to = route?.routeAction;
  if (to?.upstreamGroup) return `group ${refText(to.upstreamGroup)}`;
  if (to?.multi)
    return listOf(to.multi.destinations)
      .map((each: Spec) => `${destinationOf(each?.destination)} ${each?.weight ?? 0}`)
      .join(", ");
  return to?.single ? destinationOf(to.single) : Object.keys(to ?? {}).join(", ");
}

function destinationOf(destination: Spec): string {
  const ref = destination?.upstream ?? destination?.kube?.ref;
  const rest = destination?.destinationSpec;
  const functionName = rest?.rest?.functionName ?? rest?.aws?.logicalName ?? rest?.azure?.functionName;
  const target = ref ? refText(ref) : (destination?.consul?.serviceName ?? "");
  return functionName ? `${target} ${functionName}` : target;
}

function refText(ref: Spec): string {
  return ref?.namespace ? `${ref.namespace}.${ref.name}` : `${ref?.name}`;
}

function listOf(value: unknown): readonly Spec[] {
  return Array.isArray(value) ? value : [];
}

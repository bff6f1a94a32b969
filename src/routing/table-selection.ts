// The RouteTables that a route delegates to.
import type { DelegateAction, RouteTableSelector } from "../gen/gloo/gloo/projects/gateway/api/v1/virtual_service_pb.js";
import type { Reason } from "../model/catalog.ts";
import { formatRef } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { World } from "../plugin/world.ts";
import { expressionFault, matchesExpressions, matchesLabels } from "./label-selector.ts";

export type SelectedTables =
  | { readonly tables: readonly Resource<"RouteTable">[] }
  | { readonly fault: { readonly reason: Reason; readonly message: string; readonly path: string; readonly hint?: string } };

/** `namespace` is that of the resource that delegates. */
export function selectTables(action: DelegateAction, namespace: string, world: World): SelectedTables {
  const { delegationType, name, namespace: own } = action;
  // The old form counts before the new ones.
  const isOld = name !== "" || own !== "";
  if (delegationType.case === "selector" && !isOld) return bySelector(delegationType.value, namespace, world);
  const ref = delegationType.case === "ref" && !isOld ? delegationType.value : { name, namespace: own };
  const path = delegationType.case === "ref" && !isOld ? "delegateAction.ref" : "delegateAction";
  if (delegationType.case === undefined && !isOld)
    return fault(
      "DelegateTargetUnknown",
      "cannot determine delegation target: you must specify a route table either via a resource reference or a selector",
      path,
    );
  const table = world.get("RouteTable", ref);
  if (table?.spec) return { tables: [table] };
  return fault("DelegateTargetUnknown", `route table ${formatRef(ref)} missing`, path, hintFor(ref.name, namespace, world));
}

function bySelector(selector: RouteTableSelector, own: string, world: World): SelectedTables {
  const path = "delegateAction.selector";
  const hasLabels = Object.keys(selector.labels).length > 0;
  if (hasLabels && selector.expressions.length > 0)
    return fault("DelegateSelectorInvalid", "cannot use both labels and expressions within the same selector", path);
  const wrong = expressionFault(selector.expressions);
  if (wrong) return fault("DelegateSelectorInvalid", `${wrong}: the route table selector expression is invalid`, `${path}.expressions`);
  const namespaces = selector.namespaces.length === 0 ? [own] : selector.namespaces.includes("*") ? [undefined] : selector.namespaces;
  const tables = [...new Set(namespaces)]
    .sort()
    .flatMap((namespace) => world.list("RouteTable", namespace, selector.labels))
    .filter(
      (table) =>
        table.spec !== undefined && matchesLabels(selector.labels, table.labels) && matchesExpressions(selector.expressions, table.labels),
    );
  return tables.length > 0 ? { tables } : fault("DelegateTargetUnknown", "no route table matches the given selector", path);
}

/** The usual mistake: right name, wrong namespace. Not all are looked through: this would run again whenever any of them changed. */
function hintFor(name: string, own: string, world: World): string | undefined {
  const likely = [own, world.settings.discoveryNamespace || "gloo-system", "default"].map((namespace) => ({ namespace, name }));
  const elsewhere = likely.find((ref) => world.get("RouteTable", ref) !== undefined);
  return elsewhere && `did you mean ${formatRef(elsewhere)}?`;
}

function fault(reason: Reason, message: string, path: string, hint?: string): SelectedTables {
  return { fault: { reason, message, path, ...(hint && { hint }) } };
}

/** Groups of equal weight, lowest first: the order in which tables are tried. */
export function byWeight(tables: readonly Resource<"RouteTable">[]): readonly (readonly Resource<"RouteTable">[])[] {
  const groups = Map.groupBy(tables, (table) => table.spec?.weight ?? 0);
  return [...groups.keys()].sort((a, b) => a - b).map((weight) => groups.get(weight) ?? []);
}

// Which VirtualServices a Gateway serves.
import type { HttpGateway } from "../gen/gloo/gloo/projects/gateway/api/v1/http_gateway_pb.js";
import type { HttpPart } from "../model/gateway-part.ts";
import type { Report } from "../model/problem.ts";
import { formatRef } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { World } from "../plugin/world.ts";
import { partsOf } from "./gateways.ts";
import { goRef } from "./go-text.ts";
import { expressionFault, matchesExpressions, matchesLabels } from "./label-selector.ts";

/** True when any part of the Gateway serves the VirtualService. Reads only the two, and what a hybrid Gateway delegates to. */
export function selects(gateway: Resource<"Gateway">, virtualService: Resource<"VirtualService">, world: World): boolean {
  return partsOf(gateway, world).parts.some((part) => part.kind === "http" && selectsInto(part, virtualService));
}

/**
 * Gloo's order of tests: TLS never mixes; then expressions, else labels, else the list of refs, else everything. The namespaces
 * narrow all but the refs.
 */
export function selectsInto(part: HttpPart, { spec, ref, labels }: Resource<"VirtualService">): boolean {
  if (spec === undefined || (spec.sslConfig !== undefined) !== part.takesTls) return false;
  const { virtualServiceExpressions: byExpressions, virtualServices: refs } = part.http;
  if (byExpressions) {
    const { expressions } = byExpressions;
    return expressionFault(expressions) === undefined && inNamespaces(part.http, ref.namespace) && matchesExpressions(expressions, labels);
  }
  if (Object.keys(part.http.virtualServiceSelector).length > 0)
    return inNamespaces(part.http, ref.namespace) && matchesLabels(part.http.virtualServiceSelector, labels);
  if (refs.length > 0) return refs.some((each) => each.name === ref.name && each.namespace === ref.namespace);
  return inNamespaces(part.http, ref.namespace);
}

function inNamespaces({ virtualServiceNamespaces: namespaces }: HttpGateway, namespace: string): boolean {
  return namespaces.length === 0 || namespaces.includes("*") || namespaces.includes(namespace);
}

/** What is wrong with a selection itself. */
export function checkSelection(part: HttpPart, world: World, report: Report): void {
  const { virtualServiceExpressions, virtualServices } = part.http;
  const fault = virtualServiceExpressions && expressionFault(virtualServiceExpressions.expressions);
  if (fault)
    report.error("GatewaySelectorInvalid", `${fault}: the virtual service selector expression is invalid`, {
      path: `${part.path}.virtualServiceExpressions`,
      costs: "nothing",
    });
  for (const [i, ref] of virtualServices.entries()) {
    if (world.get("VirtualService", ref)) continue;
    report.error("GatewayRefMissing", `invalid virtual service ref ${goRef(ref)}`, {
      path: `${part.path}.virtualServices[${i}]`,
      costs: "nothing",
      elsewhere: true,
      hint: `there is no VirtualService ${formatRef(ref)}`,
    });
  }
}

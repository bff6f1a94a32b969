// A route to an azure Upstream: path and host of the function that it calls. Pure.
//
// The whole path and query of the request are replaced, so the pattern takes everything; the key is part of the query. What Envoy puts
// behind the `#`, the query of the request, is cut off in the cluster.
import { onRouteAction } from "../../envoy/drafts.ts";
import type { DestinationSpec } from "../../gen/gloo/gloo/projects/gloo/api/v1/destination_spec_pb.js";
import { closest } from "../../lib/closest.ts";
import { Report } from "../../model/problem.ts";
import { formatRef } from "../../model/ref.ts";
import type { RouteDraft, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";
import { azureHost, keyOf, keysOf, noKey } from "./cluster.ts";

export function azureRoute(
  route: RouteDraft,
  { key, ref, spec }: TypedUpstream<"azure">,
  destination: DestinationSpec | undefined,
  { world, report }: TypeContext,
): RouteDraft {
  const wanted = destination?.destinationType;
  if (wanted?.case !== "azure") {
    const what = wanted?.case === undefined ? "the route names no function" : `${wanted.case} functions cannot be called through it`;
    report.warn(
      "FunctionMissing",
      `the Upstream ${formatRef(ref)} is an Azure function app, and ${what}: requests are forwarded as they are`,
      {
        hint: "destinationSpec: {azure: {functionName: name}}",
      },
    );
    return route;
  }
  const name = wanted.value.functionName;
  const fn = spec.functions.find((each) => each.functionName === name);
  if (fn === undefined) {
    const known = spec.functions.map((each) => each.functionName);
    const guess = closest(name, known);
    report.error("FunctionNotFound", `unknown function ${name}`, {
      path: "azure.functionName",
      hint: guess ? `did you mean ${guess}?` : `${formatRef(ref)} has ${known.join(", ") || "no functions"}`,
    });
    return route;
  }
  // Where the Secret itself is wrong the Upstream says so and has no cluster.
  const keys = keysOf(spec, world, new Report(key));
  if (keys === undefined) return route;
  const code = keyOf(fn, keys);
  if (code === undefined) {
    report.error("AzureKeyMissing", noKey(fn), { path: "azure.functionName", elsewhere: true });
    return route;
  }
  const path = `/api/${encodeURIComponent(name)}${code === "" ? "" : `?code=${encodeURIComponent(code)}`}`;
  return onRouteAction(route, ({ prefixRewrite: _, ...action }) => ({
    ...action,
    // A name or a key that is encoded has no backslash, which would be a reference to a group.
    regexRewrite: { pattern: { regex: "^.*$" }, substitution: `${path}#` },
    hostRewriteSpecifier: { case: "hostRewriteLiteral", value: azureHost(spec) },
  }));
}

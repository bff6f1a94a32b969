// `headerManipulation` of a virtual host, route or weighted destination: headers added to and removed from requests and responses.
import type { HeaderManipulation } from "../gen/gloo/gloo/projects/gloo/api/v1/options/headers/headers_pb.js";
import type { HeaderValueOption as SecretOrValue } from "../gen/gloo/solo-kit/api/external/envoy/api/v2/core/base_pb.js";
import { addedHeader, addedHeaders, type HeaderInit, isHost, isProtected, protectedText } from "../plugin/addedHeaders.ts";
import type { Feature, OptionContext } from "../plugin/feature.ts";

export const headerManipulation: Feature = {
  name: "headerManipulation",
  glooName: "headers",
  fields: { route: ["headerManipulation"], virtualHost: ["headerManipulation"], weightedDestination: ["headerManipulation"] },
  virtualHost: (host, options, context) => ({ ...host, ...headers(options.headerManipulation, context) }),
  route: (route, options, _inherited, context) => ({ ...route, ...headers(options.headerManipulation, context) }),
  weightedDestination: (cluster, options, context) => ({ ...cluster, ...headers(options.headerManipulation, context) }),
};

/** All of it, or nothing when a part cannot be used. */
function headers(options: HeaderManipulation | undefined, context: OptionContext) {
  if (options === undefined) return {};
  let isUsable = true;
  const refuse: OptionContext["refuse"] = (...args) => {
    isUsable = false;
    context.refuse(...args);
  };
  const add = (list: readonly SecretOrValue[], field: string): HeaderInit[] =>
    list.flatMap((each, i) => addedHeaders(each, `headerManipulation.${field}[${i}]`, { ...context, refuse }));
  const requestHeadersToAdd = add(options.requestHeadersToAdd, "requestHeadersToAdd");
  const responseHeadersToAdd = options.responseHeadersToAdd.flatMap((each, i): HeaderInit[] => {
    const { key = "", value = "" } = each.header ?? {};
    const field = `headerManipulation.responseHeadersToAdd[${i}].header`;
    if (isHost(key)) refuse(`${field}.key`, "cannot set Host header in response headers");
    return addedHeader(key, value, each.append, field, refuse);
  });
  for (const field of ["requestHeadersToRemove", "responseHeadersToRemove"] as const)
    for (const [i, name] of options[field].entries())
      if (isProtected(name)) refuse(`headerManipulation.${field}[${i}]`, protectedText(name));
  if (!isUsable) return {};
  return {
    ...(requestHeadersToAdd.length > 0 && { requestHeadersToAdd }),
    ...(options.requestHeadersToRemove.length > 0 && { requestHeadersToRemove: [...options.requestHeadersToRemove] }),
    ...(responseHeadersToAdd.length > 0 && { responseHeadersToAdd }),
    ...(options.responseHeadersToRemove.length > 0 && { responseHeadersToRemove: [...options.responseHeadersToRemove] }),
  };
}

// `headerManipulation` of a virtual host, route or weighted destination: headers added to and removed from requests and responses.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { headerValueFault } from "../envoy/header-format.ts";
import { HeaderValueOption_HeaderAppendAction as Append, type HeaderValueOptionSchema } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { HeaderManipulation } from "../gen/gloo/gloo/projects/gloo/api/v1/options/headers/headers_pb.js";
import type { HeaderValueOption as SecretOrValue } from "../gen/gloo/solo-kit/api/external/envoy/api/v2/core/base_pb.js";
import { formatRef } from "../model/ref.ts";
import type { Feature, OptionContext } from "../plugin/feature.ts";

type HeaderInit = MessageInitShape<typeof HeaderValueOptionSchema>;

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
    list.flatMap((each, i) => requestHeader(each, `headerManipulation.${field}[${i}]`, { ...context, refuse }));
  const requestHeadersToAdd = add(options.requestHeadersToAdd, "requestHeadersToAdd");
  const responseHeadersToAdd = options.responseHeadersToAdd.flatMap((each, i): HeaderInit[] => {
    const { key = "", value = "" } = each.header ?? {};
    const field = `headerManipulation.responseHeadersToAdd[${i}].header`;
    if (isHost(key)) refuse(`${field}.key`, "cannot set Host header in response headers");
    return header(key, value, each.append, field, refuse);
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

function requestHeader({ headerOption, append }: SecretOrValue, field: string, { world, refuse }: OptionContext): HeaderInit[] {
  switch (headerOption.case) {
    case "header": {
      const { key, value } = headerOption.value;
      if (isProtected(key)) {
        refuse(`${field}.header.key`, protectedText(key));
        return [];
      }
      return header(key, value, append, `${field}.header`, refuse);
    }
    case "headerSecretRef": {
      const secret = world.get("Secret", headerOption.value);
      const kind = secret?.spec?.kind;
      if (secret === undefined) {
        const message = `list did not find secret ${formatRef(headerOption.value)}`;
        refuse(`${field}.headerSecretRef`, message, { reason: "SecretNotFound", elsewhere: true });
        return [];
      }
      const values = kind?.case === "header" ? kind.value.headers : {};
      return Object.entries(values)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([key, value]) => {
          const at = `${field}.headerSecretRef`;
          if (!isProtected(key)) return header(key, value, append, at, refuse);
          refuse(at, protectedText(key), { elsewhere: true });
          return [];
        });
    }
    default:
      refuse(field, "header manipulation needs header or headerSecretRef");
      return [];
  }
}

function header(key: string, value: string, append: boolean | undefined, field: string, refuse: OptionContext["refuse"]): HeaderInit[] {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(key)) {
    refuse(`${field}.key`, `'${key}' is an invalid HTTP header key`);
    return [];
  }
  const fault = headerValueFault(value);
  if (fault) {
    refuse(`${field}.value`, fault.message, { reason: "RouteRefusedByEnvoy", costs: "route", hint: fault.hint });
    return [];
  }
  const appendAction = append === false ? Append.OVERWRITE_IF_EXISTS_OR_ADD : Append.APPEND_IF_EXISTS_OR_ADD;
  return [{ header: { key, value }, appendAction }];
}

const isHost = (name: string): boolean => name.toLowerCase() === "host";
const isProtected = (name: string): boolean => name.startsWith(":") || isHost(name);
const protectedText = (name: string): string => `: -prefixed or host headers may not be modified. Received '${name}' header`;

// `csrf` of a listener, virtual host, route or weighted destination: requests from other origins are refused.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { withFilterConfig } from "../envoy/drafts.ts";
import { packAny } from "../envoy/encode.ts";
import { regexFault, regexMatcher } from "../envoy/regex.ts";
import { CsrfPolicySchema } from "../gen/envoy/envoy/extensions/filters/http/csrf/v3/csrf_pb.js";
import type { RuntimeFractionalPercent } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/config/core/v3/base_pb.js";
import type { CsrfPolicy } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/extensions/filters/http/csrf/v3/csrf_pb.js";
import type { StringMatcher } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/type/matcher/v3/string_pb.js";
import type { Feature, OptionContext } from "../plugin/feature.ts";

type PolicyInit = MessageInitShape<typeof CsrfPolicySchema>;

const filter = "envoy.filters.http.csrf";

export const csrf: Feature = {
  name: "csrf",
  fields: { http: ["csrf"], virtualHost: ["csrf"], route: ["csrf"], weightedDestination: ["csrf"] },
  httpFilters(options, context) {
    const value = packAny(
      CsrfPolicySchema,
      options?.csrf && isUsable(options.csrf, context) ? policy(options.csrf) : { filterEnabled: { defaultValue: {} } },
    );
    const idle = !options?.csrf;
    return [{ place: { stage: "route" }, filter: { name: filter, configType: { case: "typedConfig", value } }, idle }];
  },
  virtualHost: (host, { csrf: options }, context) => withPolicy(host, options, context),
  route: (route, { csrf: options }, _inherited, context) => withPolicy(route, options, context),
  weightedDestination: (cluster, { csrf: options }, context) => withPolicy(cluster, options, context),
};

function withPolicy<D extends { readonly typedPerFilterConfig?: unknown }>(
  draft: D,
  options: CsrfPolicy | undefined,
  context: OptionContext,
): D {
  return options && isUsable(options, context) ? withFilterConfig(draft, filter, CsrfPolicySchema, policy(options)) : draft;
}

function isUsable({ additionalOrigins }: CsrfPolicy, { refuse, warn }: OptionContext): boolean {
  const faults = additionalOrigins.map(originFault);
  for (const [i, { matchPattern }] of additionalOrigins.entries())
    if (matchPattern.case === undefined)
      warn(`csrf.additionalOrigins[${i}]`, "no origin is written here, so it is passed over", { hint: "exact: www.example.com" });
  for (const [i, fault] of faults.entries())
    if (fault) refuse(`csrf.additionalOrigins[${i}]${fault.field}`, fault.message, fault.reason && { reason: fault.reason });
  return faults.every((fault) => fault === undefined);
}

interface OriginFault {
  readonly field: string;
  readonly message: string;
  readonly reason?: "RegexInvalid";
}

function originFault({ matchPattern: pattern }: StringMatcher): OriginFault | undefined {
  switch (pattern.case) {
    case undefined:
    case "exact":
      return undefined;
    case "safeRegex": {
      const { regex } = pattern.value;
      const message = regex === "" ? "the expression is empty, which Envoy refuses" : regexFault(regex);
      return message === undefined ? undefined : { field: ".safeRegex.regex", message, reason: "RegexInvalid" };
    }
    default:
      return pattern.value === "" ? { field: `.${pattern.case}`, message: "the text is empty, which Envoy refuses" } : undefined;
  }
}

function policy({ filterEnabled, shadowEnabled, additionalOrigins }: CsrfPolicy): PolicyInit {
  const origins = additionalOrigins.filter(({ matchPattern }) => matchPattern.case !== undefined);
  return {
    // Envoy requires the first; a policy that only shadows enforces nothing.
    filterEnabled: filterEnabled ? fraction(filterEnabled) : { defaultValue: {} },
    ...(shadowEnabled && { shadowEnabled: fraction(shadowEnabled) }),
    ...(origins.length > 0 && { additionalOrigins: origins.map(stringMatcher) }),
  };
}

function fraction({ defaultValue, runtimeKey }: RuntimeFractionalPercent): NonNullable<PolicyInit["filterEnabled"]> {
  return {
    defaultValue: { numerator: defaultValue?.numerator ?? 0, denominator: (defaultValue?.denominator ?? 0) as number },
    runtimeKey,
  };
}

function stringMatcher({ matchPattern, ignoreCase }: StringMatcher): NonNullable<PolicyInit["additionalOrigins"]>[number] {
  // To expressions Envoy does not apply ignoreCase.
  if (matchPattern.case === "safeRegex") return { matchPattern: { case: "safeRegex", value: regexMatcher(matchPattern.value.regex) } };
  return { matchPattern: matchPattern as { case: "exact"; value: string }, ignoreCase };
}

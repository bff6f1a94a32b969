// What is asked of a rate limit service about a request: descriptors, as actions make them.
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { violationsOf } from "../../envoy/constraints.ts";
import { regexFault, regexMatcher } from "../../envoy/regex.ts";
import {
  type HeaderMatcherSchema,
  type RateLimit_ActionSchema,
  RateLimitSchema,
} from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import {
  type Action,
  LimitType,
  type Action_HeaderValueMatch_HeaderMatcher as Matcher,
  type MetaData_MetadataKey,
  type Override,
  type RateLimitActions,
} from "../../gen/gloo/solo-apis/api/rate-limiter/v1alpha1/ratelimit_pb.js";
import { formatRef, type Ref } from "../../model/ref.ts";
import type { OptionContext } from "../../plugin/feature.ts";

export type LimitInit = MessageInitShape<typeof RateLimitSchema>;
type ActionInit = MessageInitShape<typeof RateLimit_ActionSchema>;

/** What a RateLimitConfig says of requests. How many may be is the matter of the service. */
export function referredLimits(ref: Ref, field: string, stage: number, context: OptionContext): LimitInit[] {
  const config = context.world.get("RateLimitConfig", ref);
  const raw = config?.spec?.configType.case === "raw" ? config.spec.configType.value : undefined;
  if (raw === undefined) {
    const message = config === undefined ? `RateLimitConfig ${formatRef(ref)} not found` : `RateLimitConfig ${formatRef(ref)} has no raw`;
    context.refuse(field, message, { elsewhere: true, hint: "create it, with spec.raw.rateLimits" });
    return [];
  }
  if (raw.descriptors.length + raw.setDescriptors.length > 0)
    context.warn(field, `the descriptors of RateLimitConfig ${formatRef(ref)} are not sent to the service`, {
      reason: "OptionNotSupported",
      hint: "write them into the configuration of your service, which counts, and leave them out here; rateLimits act",
    });
  // What is wrong in it is said where it is used.
  const at = (finding: OptionContext["refuse"]): OptionContext["refuse"] => {
    return (place, message, details) =>
      finding(field, `${place}: ${message} (in RateLimitConfig ${formatRef(ref)})`, { ...details, elsewhere: true });
  };
  return limits(raw.rateLimits, "rateLimits", stage, { ...context, refuse: at(context.refuse), warn: at(context.warn) });
}

/** Gloo's word for descriptors that are sets, in which what a request does not have is left out. */
const setOf: ActionInit = { actionSpecifier: { case: "genericKey", value: { descriptorValue: "solo.setDescriptor.uniqueValue" } } };

export function limits(written: readonly RateLimitActions[], field: string, stage: number, context: OptionContext): LimitInit[] {
  return written.flatMap(({ actions, setActions, limit, type }, i) => {
    const at = `${field}[${i}]`;
    if (type !== LimitType.REQUEST)
      context.warn(`${at}.type`, "only requests are counted here, whatever the type", { reason: "OptionNotSupported" });
    const override = limit && overrideOf(limit);
    const whole = (made: readonly (ActionInit | undefined)[], place: string): LimitInit[] => {
      if (made.length === 0 || made.some((each) => each === undefined)) return [];
      const limit = create(RateLimitSchema, { stage, actions: [...made] as ActionInit[], ...(override && { limit: override }) });
      const [violation] = violationsOf(RateLimitSchema, limit);
      if (violation === undefined) return [limit];
      context.refuse(place, `Envoy would refuse ${violation.path}: ${violation.message}`, { reason: "RouteRefusedByEnvoy" });
      return [];
    };
    const single = whole(
      actions.map((action, j) => actionOf(action, `${at}.actions[${j}]`, isSet(actions), context)),
      `${at}.actions`,
    );
    if (setActions.length === 0) return single;
    context.warn(`${at}.setActions`, "a set is sent as one descriptor, with what the request has, for which your service needs a rule", {
      reason: "OptionNotSupported",
      hint: "let the service look for generic_key solo.setDescriptor.uniqueValue, which comes first; or write actions, a list for each descriptor",
    });
    const set = setActions.map((action, j) => actionOf(action, `${at}.setActions[${j}]`, true, context));
    return [...single, ...whole(isSet(setActions) ? set : [setOf, ...set], `${at}.setActions`)];
  });
}

function isSet(actions: readonly Action[]): boolean {
  return actions.some(
    ({ actionSpecifier: action }) => action.case === "genericKey" && action.value.descriptorValue === "solo.setDescriptor.uniqueValue",
  );
}

function actionOf(
  { actionSpecifier: action }: Action,
  field: string,
  skipsAbsent: boolean,
  { refuse }: OptionContext,
): ActionInit | undefined {
  const missing = (name: string) => {
    refuse(field, `Missing required field in ratelimit action ${name}`);
    return undefined;
  };
  switch (action.case) {
    case "sourceCluster":
    case "destinationCluster":
    case "remoteAddress":
      return { actionSpecifier: { case: action.case, value: {} } };
    case "requestHeaders": {
      const { headerName, descriptorKey } = action.value;
      if (headerName === "") return missing("HeaderName");
      if (descriptorKey === "") return missing("DescriptorKey");
      return {
        actionSpecifier: { case: "requestHeaders", value: { headerName, descriptorKey, ...(skipsAbsent && { skipIfAbsent: true }) } },
      };
    }
    case "genericKey":
      if (action.value.descriptorValue === "") return missing("DescriptorValue");
      return { actionSpecifier: { case: "genericKey", value: { descriptorValue: action.value.descriptorValue } } };
    case "headerValueMatch": {
      const { descriptorValue, expectMatch, headers } = action.value;
      if (descriptorValue === "") return missing("DescriptorValue");
      for (const [i, { headerMatchSpecifier: match }] of headers.entries()) {
        const fault = match.case === "regexMatch" ? regexFault(match.value) : undefined;
        if (fault === undefined) continue;
        refuse(`${field}.headerValueMatch.headers[${i}].regexMatch`, fault, { reason: "RegexInvalid" });
        return undefined;
      }
      const value = { descriptorValue, headers: headers.map(headerMatcher), ...(expectMatch !== undefined && { expectMatch }) };
      return { actionSpecifier: { case: "headerValueMatch", value } };
    }
    case "metadata": {
      const { descriptorKey, metadataKey, defaultValue, source } = action.value;
      if (descriptorKey === "") return missing("DescriptorKey");
      if (metadataKey === undefined) return missing("MetadataKey");
      const value = { descriptorKey, metadataKey: metadataKeyOf(metadataKey), defaultValue, source: source as number };
      return { actionSpecifier: { case: "metadata", value } };
    }
    default:
      refuse(field, "Unknown action type");
      return undefined;
  }
}

/** The limit itself comes from metadata that a filter before has written. */
function overrideOf({ overrideSpecifier: from }: Override): LimitInit["limit"] {
  const key = from.case === "dynamicMetadata" ? from.value.metadataKey : undefined;
  return key && { overrideSpecifier: { case: "dynamicMetadata", value: { metadataKey: metadataKeyOf(key) } } };
}

function metadataKeyOf({ key, path }: MetaData_MetadataKey) {
  return { key, path: path.map(({ segment }) => ({ segment: { case: "key" as const, value: segment.value ?? "" } })) };
}

function headerMatcher({ name, headerMatchSpecifier: match, invertMatch }: Matcher): MessageInitShape<typeof HeaderMatcherSchema> {
  const base = { name, ...(invertMatch && { invertMatch }) };
  switch (match.case) {
    case "regexMatch":
      return { ...base, headerMatchSpecifier: { case: "safeRegexMatch", value: regexMatcher(match.value) } };
    case "rangeMatch":
      return { ...base, headerMatchSpecifier: { case: "rangeMatch", value: { start: match.value.start, end: match.value.end } } };
    case undefined:
      // To Envoy: that there is one.
      return base;
    default:
      return { ...base, headerMatchSpecifier: match };
  }
}

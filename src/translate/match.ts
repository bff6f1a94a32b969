// Matchers of a route as Envoy takes them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { regexFault, regexMatcher } from "../envoy/regex.ts";
import type {
  HeaderMatcherSchema,
  QueryParameterMatcherSchema,
  RouteMatchSchema,
} from "../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { HeaderMatcher, Matcher, QueryParameterMatcher } from "../gen/gloo/gloo/projects/gloo/api/v1/core/matchers/matchers_pb.js";
import { pathFault } from "./path.ts";

type MatchInit = MessageInitShape<typeof RouteMatchSchema>;

export interface TranslatedMatch {
  readonly match: MatchInit;
  readonly faults: readonly MatchFault[];
}

export interface MatchFault {
  readonly kind: "path" | "regex" | "missing";
  /** Below the matcher: `headers[0].value`. */
  readonly field: string;
  readonly message: string;
  readonly hint?: string;
  /** What Gloo's status says around it. */
  readonly gloo?: "virtualService" | "route";
}

export function routeMatch(matcher: Matcher, maxProgramSize: number | undefined): TranslatedMatch {
  const faults: MatchFault[] = [];
  const path = pathSpecifier(matcher, maxProgramSize, faults);
  const headers = matcher.headers.map((header, i) => headerMatcher(header, i, maxProgramSize, faults));
  if (matcher.methods.length > 0) {
    const fault = matcher.methods.includes("") ? "a method is empty" : regexFault(matcher.methods.join("|"), maxProgramSize);
    const hint = matcher.methods.includes("*") ? { hint: "leave methods out to match all of them" } : {};
    if (fault) faults.push({ kind: "regex", field: "methods", message: fault, ...hint });
    headers.push(methodMatcher(matcher.methods, maxProgramSize));
  }
  return {
    match: {
      ...(path && { pathSpecifier: path }),
      ...(matcher.caseSensitive !== undefined && { caseSensitive: matcher.caseSensitive }),
      headers,
      queryParameters: matcher.queryParameters.map((parameter, i) => queryMatcher(parameter, i, maxProgramSize, faults)),
    },
    faults,
  };
}

function pathSpecifier(
  { pathSpecifier: path }: Matcher,
  maxProgramSize: number | undefined,
  faults: MatchFault[],
): MatchInit["pathSpecifier"] {
  switch (path.case) {
    case "prefix":
    case "exact": {
      const fault = pathFault(path.value);
      const hint = path.value.includes("?") ? "a path has no query: match it by queryParameters" : undefined;
      const message = `the path is invalid: ${fault}`;
      if (fault) faults.push({ kind: "path", field: path.case, message, gloo: "route", ...(hint && { hint }) });
      return { case: path.case === "exact" ? "path" : "prefix", value: path.value };
    }
    case "regex": {
      const fault = path.value === "" ? "the expression is empty, which Envoy refuses" : regexFault(path.value, maxProgramSize);
      if (fault) faults.push({ kind: "regex", field: "regex", message: fault, ...(path.value !== "" && { gloo: "virtualService" }) });
      return { case: "safeRegex", value: regexMatcher(path.value, maxProgramSize) };
    }
    case "connectMatcher":
      return { case: "connectMatcher", value: {} };
    default:
      faults.push({ kind: "missing", field: "", message: "no path specifier provided", gloo: "route" });
      return undefined;
  }
}

function headerMatcher(
  { name, value, regex, invertMatch }: HeaderMatcher,
  i: number,
  maxProgramSize: number | undefined,
  faults: MatchFault[],
): MessageInitShape<typeof HeaderMatcherSchema> {
  const base = { name, ...(invertMatch && { invertMatch }) };
  if (value === "") return { ...base, headerMatchSpecifier: { case: "presentMatch", value: true } };
  if (!regex) return { ...base, headerMatchSpecifier: { case: "exactMatch", value } };
  const fault = regexFault(value, maxProgramSize);
  if (fault) faults.push({ kind: "regex", field: `headers[${i}].value`, message: fault });
  return { ...base, headerMatchSpecifier: { case: "safeRegexMatch", value: regexMatcher(value, maxProgramSize) } };
}

/** Methods come after the headers that the user wrote, as one expression. */
function methodMatcher(methods: readonly string[], maxProgramSize: number | undefined): MessageInitShape<typeof HeaderMatcherSchema> {
  return { name: ":method", headerMatchSpecifier: { case: "safeRegexMatch", value: regexMatcher(methods.join("|"), maxProgramSize) } };
}

function queryMatcher(
  { name, value, regex }: QueryParameterMatcher,
  i: number,
  maxProgramSize: number | undefined,
  faults: MatchFault[],
): MessageInitShape<typeof QueryParameterMatcherSchema> {
  if (value === "") return { name, queryParameterMatchSpecifier: { case: "presentMatch", value: true } };
  if (!regex) return { name, queryParameterMatchSpecifier: { case: "stringMatch", value: { matchPattern: { case: "exact", value } } } };
  const fault = regexFault(value, maxProgramSize);
  if (fault) faults.push({ kind: "regex", field: `queryParameters[${i}].value`, message: fault });
  const pattern = { matchPattern: { case: "safeRegex", value: regexMatcher(value, maxProgramSize) } } as const;
  return { name, queryParameterMatchSpecifier: { case: "stringMatch", value: pattern } };
}

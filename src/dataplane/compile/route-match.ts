// `RouteMatch`: when a route takes a request.

import type {
  CookieMatcher,
  HeaderMatcher,
  QueryParameterMatcher,
  RouteMatch,
} from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { RouteMatchSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { FractionalPercent } from "../../gen/envoy/envoy/type/v3/percent_pb.js";
import { unhandledFields } from "../fields.ts";
import { queryParameter } from "../formatter.ts";
import { headerValue } from "../http1/headers.ts";
import { type Condition, type PathTest, type RequestView, type RouteTest, viewHeader } from "../match.ts";
import { regex } from "../regex.ts";
import { wireText } from "../text.ts";
import type { Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { compileStringMatcher } from "./strings.ts";

const never: Condition = { describe: "a matcher that the embedded data plane does not execute", test: () => false };

/** A matcher that cannot be compiled never matches: to match too much would send requests where they must not go. */
export function compileRouteMatch(match: RouteMatch, findings: Findings): RouteTest {
  const conditions: Condition[] = [];
  const unhandled = unhandledFields(RouteMatchSchema, match, handledFields);
  for (const path of unhandled) findings.notExecuted(path, "; the route never matches");
  if (unhandled.length > 0) conditions.push(never);
  const attempt = (path: string, compile: () => Condition | undefined) => {
    try {
      const condition = compile();
      if (condition === undefined) findings.notExecuted(path, "; the route never matches");
      conditions.push(condition ?? never);
    } catch (error) {
      findings.refused(path, `${(error as Error).message}; the route never matches`);
      conditions.push(never);
    }
  };
  match.headers.forEach((header, index) => void attempt(`headers[${index}]`, () => compileHeaderMatcher(header)));
  match.queryParameters.forEach((query, index) => void attempt(`query_parameters[${index}]`, () => compileQueryMatcher(query)));
  match.cookies.forEach((cookie, index) => void attempt(`cookies[${index}]`, () => compileCookieMatcher(cookie)));
  if (match.grpc !== undefined) {
    conditions.push({
      describe: "content-type is that of gRPC",
      test: ({ headers }) => {
        const type = headerValue(headers, "content-type");
        return type !== undefined && (type === "application/grpc" || type.startsWith("application/grpc+"));
      },
    });
  }
  const fraction = match.runtimeFraction?.defaultValue;
  if (fraction !== undefined) {
    const share = fractionOf(fraction);
    conditions.push({ describe: `a share of ${share} of requests`, test: ({ random }) => random < share });
  }
  let path: PathTest;
  try {
    path = compilePath(match);
  } catch (error) {
    findings.refused("safe_regex", `${(error as Error).message}; the route never matches`);
    path = { kind: "regex", value: "", literalPrefix: "", test: () => false };
  }
  return { path, conditions };
}

function compilePath(match: RouteMatch): PathTest {
  const specifier = match.pathSpecifier;
  const caseSensitive = match.caseSensitive ?? true;
  switch (specifier.case) {
    case "prefix": {
      const value = wireText(specifier.value);
      if (caseSensitive) {
        if (value === "/") return { kind: "prefix", value, literalPrefix: value, test: (path) => path.charCodeAt(0) === 0x2f };
        return { kind: "prefix", value, literalPrefix: value, test: (path) => path.startsWith(value) };
      }
      const lower = value.toLowerCase();
      return { kind: "prefix", value, literalPrefix: "", test: (path) => path.slice(0, lower.length).toLowerCase() === lower };
    }
    case "path": {
      const value = wireText(specifier.value);
      if (caseSensitive) return { kind: "path", value, literalPrefix: value, test: (path) => path === value };
      const lower = value.toLowerCase();
      return { kind: "path", value, literalPrefix: "", test: (path) => path.toLowerCase() === lower };
    }
    case "pathSeparatedPrefix": {
      const value = wireText(specifier.value);
      const { length } = value;
      const lower = value.toLowerCase();
      const starts = caseSensitive
        ? (path: string) => path.startsWith(value)
        : (path: string) => path.slice(0, length).toLowerCase() === lower;
      return {
        kind: "separated prefix",
        value,
        literalPrefix: caseSensitive ? value : "",
        test: (path) => starts(path) && (path.length === length || path.charCodeAt(length) === 0x2f),
      };
    }
    case "safeRegex": {
      const compiled = regex(specifier.value.regex);
      return { kind: "regex", value: specifier.value.regex, literalPrefix: compiled.literalPrefix, test: (path) => compiled.matches(path) };
    }
    case "connectMatcher":
      return { kind: "connect", value: "", literalPrefix: "", test: () => false };
    default:
      // path_match_policy: reported as not executed, and never matching because of that.
      return { kind: "regex", value: "", literalPrefix: "", test: () => false };
  }
}

/** One that cannot be compiled never matches, and is reported with what that means. */
export function compileHeaderMatchers(
  matchers: readonly HeaderMatcher[],
  findings: Findings,
  field: string,
  consequence: string,
): readonly Condition[] {
  return matchers.map((matcher, index) => {
    const path = `${field}[${index}]`;
    try {
      const condition = compileHeaderMatcher(matcher);
      if (condition === undefined) findings.notExecuted(path, consequence);
      return condition ?? never;
    } catch (error) {
      findings.refused(path, `${(error as Error).message}${consequence}`);
      return never;
    }
  });
}

/** Throws for a bad regular expression; undefined for a kind that is not executed. */
export function compileHeaderMatcher(matcher: HeaderMatcher): Condition | undefined {
  const name = matcher.name.toLowerCase();
  const { invertMatch, treatMissingHeaderAsEmpty } = matcher;
  const specifier = matcher.headerMatchSpecifier;
  const not = invertMatch ? "not " : "";
  const valueCondition = (describe: string, test: (value: string) => boolean): Condition => ({
    describe: `header ${name} ${not}${describe}`,
    // Of several values each is looked at alone. A missing header matches nothing, inverted or not, unless it counts as empty.
    test: (request) => {
      const found = testValues(request, name, test);
      if (found === undefined) return treatMissingHeaderAsEmpty && test("") !== invertMatch;
      return found !== invertMatch;
    },
  });
  switch (specifier.case) {
    case undefined:
    case "presentMatch": {
      const wanted = (specifier.case === undefined ? true : specifier.value) !== invertMatch;
      return {
        describe: `header ${name} ${wanted ? "present" : "absent"}`,
        test: (request) => (viewHeader(request, name) !== undefined || treatMissingHeaderAsEmpty) === wanted,
      };
    }
    case "exactMatch": {
      const wanted = wireText(specifier.value);
      return valueCondition(`exact "${wanted}"`, (value) => value === wanted);
    }
    case "prefixMatch": {
      const wanted = wireText(specifier.value);
      return valueCondition(`prefix "${wanted}"`, (value) => value.startsWith(wanted));
    }
    case "suffixMatch": {
      const wanted = wireText(specifier.value);
      return valueCondition(`suffix "${wanted}"`, (value) => value.endsWith(wanted));
    }
    case "containsMatch": {
      const wanted = wireText(specifier.value);
      return valueCondition(`contains "${wanted}"`, (value) => value.includes(wanted));
    }
    case "safeRegexMatch": {
      const compiled = regex(specifier.value.regex);
      return valueCondition(`regex "${specifier.value.regex}"`, (value) => compiled.matches(value));
    }
    case "rangeMatch": {
      const { start, end } = specifier.value;
      return valueCondition(`in [${start}, ${end})`, (value) => {
        if (!/^[+-]?\d{1,19}$/.test(value)) return false;
        const number = BigInt(value.replace("+", ""));
        return number >= start && number < end;
      });
    }
    case "stringMatch": {
      const compiled = compileStringMatcher(specifier.value);
      return compiled && valueCondition(compiled.describe, compiled.test);
    }
  }
}

/** Whether any value of a header passes; undefined when there is none. */
function testValues(request: RequestView, name: string, test: (value: string) => boolean): boolean | undefined {
  if (name.charCodeAt(0) === 0x3a || name === "host") {
    const value = viewHeader(request, name);
    return value === undefined ? undefined : test(value);
  }
  const { headers } = request;
  let isPresent = false;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    if (test(headers[i + 1] as string)) return true;
    isPresent = true;
  }
  return isPresent ? false : undefined;
}

export function compileQueryMatcher(matcher: QueryParameterMatcher): Condition | undefined {
  const name = wireText(matcher.name);
  const specifier = matcher.queryParameterMatchSpecifier;
  if (specifier.case === "stringMatch") {
    const compiled = compileStringMatcher(specifier.value);
    return (
      compiled && {
        describe: `query parameter ${name} ${compiled.describe}`,
        test: ({ path }) => {
          const value = queryParameter(path, name);
          return value !== undefined && compiled.test(value);
        },
      }
    );
  }
  const wanted = specifier.case === "presentMatch" ? specifier.value : true;
  return {
    describe: `query parameter ${name} ${wanted ? "present" : "absent"}`,
    test: ({ path }) => (queryParameter(path, name) !== undefined) === wanted,
  };
}

function compileCookieMatcher(matcher: CookieMatcher): Condition | undefined {
  const { name, invertMatch } = matcher;
  const compiled = matcher.stringMatch && compileStringMatcher(matcher.stringMatch);
  if (compiled === undefined) return undefined;
  return {
    describe: `cookie ${name} ${invertMatch ? "not " : ""}${compiled.describe}`,
    test: ({ headers }) => {
      for (let i = 0; i < headers.length; i += 2) {
        if (headers[i] !== "cookie") continue;
        for (const pair of (headers[i + 1] as string).split(";")) {
          const equals = pair.indexOf("=");
          if (equals > 0 && pair.slice(0, equals).trim() === name) return compiled.test(pair.slice(equals + 1).trim()) !== invertMatch;
        }
      }
      return invertMatch;
    },
  };
}

/** A FractionalPercent as a share of 1. */
export function fractionOf(fraction: FractionalPercent): number {
  return fraction.numerator / ([100, 10_000, 1_000_000][fraction.denominator] ?? 100);
}

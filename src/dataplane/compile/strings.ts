// String matchers, as `envoy.type.matcher.v3.StringMatcher` says.

import type { StringMatcher } from "../../gen/envoy/envoy/type/matcher/v3/string_pb.js";
import { regex } from "../regex.ts";
import { wireText } from "../text.ts";

export interface StringTest {
  /** `exact "a"`, for the trace of a match. */
  readonly describe: string;
  test(text: string): boolean;
}

/** Throws for a regular expression that RE2 refuses; undefined for a kind that is not executed. */
export function compileStringMatcher(matcher: StringMatcher): StringTest | undefined {
  const pattern = matcher.matchPattern;
  const fold = matcher.ignoreCase ? (text: string) => text.toLowerCase() : (text: string) => text;
  const suffix = matcher.ignoreCase ? ", ignoring case" : "";
  switch (pattern.case) {
    case "exact": {
      const wanted = fold(wireText(pattern.value));
      return { describe: `exact "${pattern.value}"${suffix}`, test: (text) => fold(text) === wanted };
    }
    case "prefix": {
      const wanted = fold(wireText(pattern.value));
      return { describe: `prefix "${pattern.value}"${suffix}`, test: (text) => fold(text).startsWith(wanted) };
    }
    case "suffix": {
      const wanted = fold(wireText(pattern.value));
      return { describe: `suffix "${pattern.value}"${suffix}`, test: (text) => fold(text).endsWith(wanted) };
    }
    case "contains": {
      const wanted = fold(wireText(pattern.value));
      return { describe: `contains "${pattern.value}"${suffix}`, test: (text) => fold(text).includes(wanted) };
    }
    case "safeRegex": {
      // Envoy ignores ignore_case for regular expressions.
      const compiled = regex(pattern.value.regex);
      return { describe: `regex "${pattern.value.regex}"`, test: (text) => compiled.matches(text) };
    }
    default:
      return undefined;
  }
}

// Matchers of metadata: what filters have found out of a request, and what its route says.

import type { JsonValue } from "@bufbuild/protobuf";
import type { MetadataMatcher } from "../../gen/envoy/envoy/type/matcher/v3/metadata_pb.js";
import type { DoubleMatcher } from "../../gen/envoy/envoy/type/matcher/v3/number_pb.js";
import type { ValueMatcher } from "../../gen/envoy/envoy/type/matcher/v3/value_pb.js";
import type { MetadataView } from "../formatter.ts";
import { wireText } from "../text.ts";
import { compileStringMatcher } from "./strings.ts";

/** Undefined: there is no such value. */
type ValueTest = (value: JsonValue | undefined) => boolean;

/** Throws for what RE2 refuses, and for a kind that is not executed. */
export function compileMetadataMatcher({ filter, path, value, invert }: MetadataMatcher): (metadata: MetadataView | undefined) => boolean {
  const steps = path.map(({ segment }) => segment.value ?? "");
  const test = compileValueMatcher(value);
  return (metadata) => test(valueAt(metadata?.[filter], steps)) !== invert;
}

function valueAt(from: JsonValue | undefined, steps: readonly string[]): JsonValue | undefined {
  let value = from;
  for (const step of steps) {
    if (typeof value !== "object" || value === null || Array.isArray(value) || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
}

function compileValueMatcher(matcher: ValueMatcher | undefined): ValueTest {
  const pattern = matcher?.matchPattern;
  switch (pattern?.case) {
    case "nullMatch":
      return (value) => value === null;
    case "doubleMatch":
      return compileDoubleMatcher(pattern.value);
    case "stringMatch": {
      const test = compileStringMatcher(pattern.value);
      if (test === undefined) throw new Error("a string matcher of a kind that is not executed");
      return (value) => typeof value === "string" && test.test(wireText(value));
    }
    case "boolMatch":
      return (value) => value === pattern.value;
    case "presentMatch":
      // As Envoy: what is not there cannot be asked for this way.
      return (value) => value !== undefined && pattern.value;
    case "listMatch": {
      const test = compileValueMatcher(pattern.value.matchPattern.value);
      return (value) => Array.isArray(value) && value.some(test);
    }
    case "orMatch": {
      const tests = pattern.value.valueMatchers.map(compileValueMatcher);
      return (value) => tests.some((test) => test(value));
    }
    default:
      throw new Error("a value matcher of a kind that is not executed");
  }
}

function compileDoubleMatcher({ matchPattern: pattern }: DoubleMatcher): ValueTest {
  if (pattern.case === "exact") return (value) => value === pattern.value;
  if (pattern.case !== "range") throw new Error("a number matcher of a kind that is not executed");
  const { start, end } = pattern.value;
  return (value) => typeof value === "number" && value >= start && value < end;
}

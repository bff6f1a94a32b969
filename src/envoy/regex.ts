// Regular expressions for Envoy: RE2, checked before they are sent.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { RE2JS } from "re2js";
import type { RegexMatchAndSubstituteSchema, RegexMatcherSchema } from "../gen/envoy/envoy/type/matcher/v3/regex_pb.js";
import type { RegexMatchAndSubstitute, RegexMatcher } from "../gen/gloo/gloo/projects/gloo/api/external/envoy/type/matcher/v3/regex_pb.js";

type RegexInit = MessageInitShape<typeof RegexMatcherSchema>;

/** `safe_regex` as Gloo writes it. `maxProgramSize` is Gloo's setting; newer Envoys take the limit from their runtime. */
export function regexMatcher(regex: string, maxProgramSize?: number): RegexInit {
  return { engineType: { case: "googleRe2", value: { ...(maxProgramSize !== undefined && { maxProgramSize }) } }, regex };
}

/** A pattern of the API as Envoy takes it. */
export function regexRewrite(
  { pattern, substitution }: RegexMatchAndSubstitute,
  maxProgramSize?: number,
): MessageInitShape<typeof RegexMatchAndSubstituteSchema> {
  return { pattern: patternOf(pattern, maxProgramSize), substitution };
}

function patternOf(pattern: RegexMatcher | undefined, maxProgramSize: number | undefined): RegexInit {
  const own = pattern?.engineType.case === "googleRe2" ? pattern.engineType.value.maxProgramSize : undefined;
  return regexMatcher(pattern?.regex ?? "", own ?? maxProgramSize);
}

/**
 * Why RE2 refuses an expression, in Go's words (which are RE2's): "error parsing regexp: missing closing ): `(`". Undefined when
 * it is fine. An empty one is a matter of the field: Envoy refuses it where it matches.
 */
export function regexFault(regex: string): string | undefined {
  const known = faults.get(regex);
  if (known !== undefined) return known === "" ? undefined : known;
  const fault = compileFault(regex);
  if (faults.size >= mostKnown) faults.clear();
  faults.set(regex, fault ?? "");
  return fault;
}

function compileFault(regex: string): string | undefined {
  try {
    RE2JS.compile(regex);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Compiling takes longer than all the rest of a route; the answer depends on the text alone. */
const faults = new Map<string, string>();
const mostKnown = 20_000;

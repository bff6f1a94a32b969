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

/** Why Envoy would refuse the pattern of a rewrite. */
export function patternFault({ pattern }: RegexMatchAndSubstitute, maxProgramSize?: number): string | undefined {
  const own = pattern?.engineType.case === "googleRe2" ? pattern.engineType.value.maxProgramSize : undefined;
  return regexFault(pattern?.regex ?? "", own ?? maxProgramSize);
}

/** Envoy's limit where the configuration has none. */
const defaultProgramSize = 100;

/**
 * Why Envoy would refuse an expression; of a syntax error in Go's words (which are RE2's): "error parsing regexp: missing
 * closing ): `(`". Undefined when it is fine. An empty one is a matter of the field: Envoy refuses it where it matches.
 */
export function regexFault(regex: string, maxProgramSize = defaultProgramSize): string | undefined {
  const { fault, size } = known(regex);
  if (fault !== undefined) return fault;
  return size > maxProgramSize ? `the compiled expression has ${size} instructions; Envoy allows ${maxProgramSize}` : undefined;
}

interface Compiled {
  readonly fault?: string;
  readonly size: number;
}

/** Compiling takes longer than all the rest of a route; the answer depends on the text alone. */
const compiled = new Map<string, Compiled>();
const mostCompiled = 20_000;

function known(regex: string): Compiled {
  const found = compiled.get(regex);
  if (found) return found;
  if (compiled.size >= mostCompiled) compiled.clear();
  const made = compile(regex);
  compiled.set(regex, made);
  return made;
}

function compile(regex: string): Compiled {
  try {
    return { size: sizeInEnvoy(RE2JS.compile(regex)) };
  } catch (error) {
    return { fault: (error as Error).message, size: 0 };
  }
}

interface Instruction {
  readonly op: number;
  readonly out: number;
  readonly arg: number;
  readonly runes?: readonly number[];
}

const alternative = new Set([1, 2]);
const uncounted = new Set([5, 6, 7]);

/**
 * The size of the program that RE2 makes, which counts a character class by its ranges and, of forks, only those of `x+`. Measured
 * against Envoy 1.40 (regex.test.ts): exact but for `?`, of which RE2 counts one more, so that nothing is refused which Envoy takes.
 */
function sizeInEnvoy(compiledRegex: RE2JS): number {
  const program = (compiledRegex as unknown as { re2Input?: { prog?: { inst?: readonly Instruction[] } } }).re2Input?.prog?.inst;
  if (program === undefined) return compiledRegex.programSize();
  let size = 4;
  for (const [i, { op, runes }] of program.entries()) {
    if (uncounted.has(op)) continue;
    if (alternative.has(op)) size += isOneOrMore(program, i) ? 1 : 0;
    else size += op === 11 ? 2 : ranges(runes);
  }
  return size;
}

/** The fork behind the body of `x+`: it leads back to where others begin. A program this long is too large in any case. */
function isOneOrMore(program: readonly Instruction[], fork: number): boolean {
  if (program.length > longestProgram) return false;
  const body = program[fork]?.out;
  const hasOtherWayIn = program.some(({ op, out, arg }, i) => i !== fork && (out === body || (alternative.has(op) && arg === body)));
  return hasOtherWayIn && leadsTo(program, body, fork);
}

const longestProgram = 2000;

function leadsTo(program: readonly Instruction[], from: number | undefined, to: number): boolean {
  const seen = new Set<number>();
  const open = from === undefined ? [] : [from];
  for (let i = open.pop(); i !== undefined; i = open.pop()) {
    if (i === to) return true;
    const instruction = program[i];
    if (instruction === undefined || seen.has(i) || uncounted.has(instruction.op)) continue;
    seen.add(i);
    open.push(instruction.out);
    if (alternative.has(instruction.op)) open.push(instruction.arg);
  }
  return false;
}

/** Pairs of first and last; a letter counts once in both cases. */
function ranges(runes: readonly number[] | undefined): number {
  if (runes === undefined || runes.length < 4) return 1;
  const pairs = runes.length / 2;
  const has = (from: number, to: number) => runes.some((rune, i) => i % 2 === 0 && rune === from && runes[i + 1] === to);
  return has(0x41, 0x5a) && has(0x61, 0x7a) ? pairs - 1 : pairs;
}

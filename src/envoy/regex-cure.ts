// What to write instead of what RE2 does not have, or of what was probably meant.

/** The cure for a fault that `regexFault` found, by its words; undefined for any other text. */
export function regexCure(message: string): string | undefined {
  if (/^the compiled expression has \d+ instructions/.test(message))
    return "shorten it ({1,50} counts as fifty), or raise regexMaxProgramSize in the options of Settings' gloo";
  const [, fault, part] = /error parsing regexp: ([^:]*): `([\s\S]*?)`/.exec(message) ?? [];
  if (fault === undefined || part === undefined) return /error parsing regexp/.test(message) ? "write the expression in RE2" : undefined;
  return cures.find(([pattern]) => pattern.test(`${fault}: ${part}`))?.[1];
}

const cures: readonly (readonly [RegExp, string])[] = [
  [/: \(\?<?!/, "RE2 has no look-ahead or look-behind: match what is left, and put a route for what is excluded in front"],
  [/: \(\?=/, "RE2 has no look-ahead: write out what follows; a matcher matches the whole value"],
  [/: \(\?<=/, "RE2 has no look-behind: write out what comes before; a matcher matches the whole value"],
  [/: \(\?>/, "RE2 has no atomic groups, and is quick without: write (?:…)"],
  [/: \(\?\(/, "RE2 has no conditions: write the alternatives out, as in (a|b)"],
  [/: \(\?/, "RE2 has the groups (…), (?:…) and (?P<name>…), and the flags (?i), (?m), (?s) and (?U)"],
  [/invalid escape sequence: \\[1-9kg]/, "RE2 has no back-references: write the alternatives out, as in (a-a|b-b)"],
  [/invalid escape sequence: \\[Zz]/, "RE2 has no \\Z: write $; a matcher matches the whole value anyway"],
  [/invalid escape sequence/, "RE2 has no such escape: a letter without \\ stands for itself; classes are \\d, \\w and \\s"],
  [/invalid nested repetition operator/, "RE2 has no possessive repeats: leave the second sign out, or put the first into (?:…)"],
  [/invalid repeat count/, "RE2 repeats at most 1000 times: write + or *, or a smaller count"],
  [/missing argument to repetition operator/, "it repeats what stands in front of it, and there is nothing: for anything, write .*"],
  [/missing closing \)/, "close the bracket, or write \\( for a bracket in the text"],
  [/unexpected \)/, "open it before, or write \\) for a bracket in the text"],
  [/missing closing \]/, "close the class, or write \\[ for a bracket in the text"],
  [/invalid character class range: (\\p|\[:)/i, "RE2 has classes such as \\pL, \\p{Greek} and [[:alpha:]], and none of this name"],
  [/invalid character class range/, "the first of a range comes before the last, as in [a-z]"],
];

// `parameters` of a function: patterns of path and headers → what is taken out of a request.
import type { Parameters } from "../gen/gloo/gloo/projects/gloo/api/v1/options/transformation/parameters_pb.js";
import type { Extractor } from "../template/transformation.ts";

/** Parameters that cannot be understood; in Gloo's words. */
export class ParameterFault extends Error {
  override readonly name = "ParameterFault";
}

/** What a variable may be made of. Gloo's: no slash, colon or @; do not widen it. */
const variable = "([\\-._%[:alnum:]]+)";

export function extractorsOf({ path, headers }: Parameters): readonly Extractor[] {
  return extractorsOfPatterns(path, headers);
}

export function extractorsOfPatterns(path: string | undefined, headers: Readonly<Record<string, string>>): readonly Extractor[] {
  const found = new Map<string, Extractor>([
    // Gloo's expression for the path never matches one; this is what was meant.
    ["path", { name: "path", header: ":path", regex: "([^?]*).*", subgroup: 1 }],
    ["method", { name: "method", header: ":method", regex: variable, subgroup: 1 }],
  ]);
  if (path !== undefined) addPattern(path, ":path", found);
  for (const [name, pattern] of Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)))
    addPattern(pattern, name.toLowerCase(), found);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function addPattern(pattern: string, header: string, found: Map<string, Extractor>): void {
  const names = [...pattern.matchAll(/\{([.\-_A-Za-z0-9]+)\}/g)].map(([, name = ""]) => name);
  const literals = pattern.split(/\{[.\-_A-Za-z0-9]+\}/);
  if (literals.some((each) => /[{}]/.test(each)))
    throw new ParameterFault(
      `${pattern} is not valid syntax. {} braces must be closed and variable names must satisfy regex ([\\-._[:alnum:]]+)`,
    );
  if (names.length === 0) {
    // A pattern without variables takes all of the header, under the header's name.
    if (header !== ":path") found.set(header, { name: header, header, subgroup: 0 });
    return;
  }
  const regex = literals.map((each) => each.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&")).join(variable);
  names.forEach((name, i) => {
    found.set(name, { name, header, regex, subgroup: i + 1 });
  });
}

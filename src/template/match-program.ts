// Matchers of a plan → what data planes execute. Their regular expressions are RE2's.
import { within } from "./plan-fault.ts";
import { compileRegex, type RegexProgram } from "./regex.ts";
import type { HeaderMatch, RequestMatch, ValueMatch } from "./transformation.ts";

export interface RequestMatchProgram {
  readonly path?: {
    readonly kind: "prefix" | "exact" | "regex";
    readonly value: string;
    readonly regex?: RegexProgram;
    readonly ignoresCase?: true;
  };
  readonly methods?: readonly string[];
  readonly headers?: readonly HeaderMatchProgram[];
  readonly query?: readonly ValueMatchProgram[];
}

export interface ValueMatchProgram {
  readonly name: string;
  readonly kind: "exact" | "regex" | "present";
  readonly value?: string;
  readonly regex?: RegexProgram;
}

export interface HeaderMatchProgram extends ValueMatchProgram {
  readonly isInverted?: true;
}

export function requestMatch({ path, methods, headers, query }: RequestMatch): RequestMatchProgram {
  return {
    ...(path && { path: within("path", () => pathMatch(path)) }),
    ...(methods.length > 0 && { methods }),
    ...(headers.length > 0 && { headers: headers.map((each, i) => within(`headers[${i}]`, () => headerMatch(each))) }),
    ...(query.length > 0 && { query: query.map((each, i) => within(`query[${i}]`, () => valueMatch(each))) }),
  };
}

function pathMatch({ kind, value, ignoresCase }: NonNullable<RequestMatch["path"]>) {
  return {
    kind,
    value: ignoresCase ? value.toLowerCase() : value,
    ...(kind === "regex" && { regex: compileRegex(value, "re2") }),
    ...(ignoresCase && kind !== "regex" && { ignoresCase: true as const }),
  };
}

function valueMatch({ name, kind, value }: ValueMatch): ValueMatchProgram {
  if (kind === "regex") return { name, kind, regex: compileRegex(value, "re2") };
  return kind === "exact" ? { name, kind, value } : { name, kind };
}

export function headerMatch({ isInverted, ...match }: HeaderMatch): HeaderMatchProgram {
  return { ...valueMatch({ ...match, name: match.name.toLowerCase() }), ...(isInverted && { isInverted: true }) };
}

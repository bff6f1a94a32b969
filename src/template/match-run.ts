// Whether a matcher fits a message.
import { lower } from "./functions.ts";
import { firstOf, type HeaderList, queryOf } from "./header-list.ts";
import { bytesOf } from "./json.ts";
import type { HeaderMatchProgram, RequestMatchProgram, ValueMatchProgram } from "./match-program.ts";
import { matchAt } from "./regex-run.ts";

export function requestFits({ path, methods, headers, query }: RequestMatchProgram, list: HeaderList): boolean {
  const [plain, , found] = queryOf(firstOf(list, ":path"), true);
  if (path) {
    const shown = path.ignoresCase ? lower(plain) : plain;
    const value = bytesOf(path.value);
    if (path.kind === "prefix" && !shown.startsWith(value)) return false;
    if (path.kind === "exact" && shown !== value) return false;
    if (path.regex && !isWhole(path.regex, plain)) return false;
  }
  if (methods && !methods.includes(firstOf(list, ":method"))) return false;
  if (query && !query.every((each) => fits(each, found.find(([name]) => name === bytesOf(each.name))?.[1]))) return false;
  return headersFit(headers ?? [], list);
}

export function headersFit(matches: readonly HeaderMatchProgram[], headers: HeaderList): boolean {
  return matches.every((each) => {
    const values = headers.filter(([name]) => name === each.name).map(([, value]) => value);
    return fits(each, values.length > 0 ? values.join(",") : undefined) !== (each.isInverted === true);
  });
}

function fits({ kind, value, regex }: ValueMatchProgram, found: string | undefined): boolean {
  if (kind === "present" || found === undefined) return found !== undefined;
  return regex ? isWhole(regex, found) : found === bytesOf(value ?? "");
}

function isWhole(regex: Parameters<typeof matchAt>[0], text: string): boolean {
  try {
    return matchAt(regex, text, 0, "whole") !== undefined;
  } catch {
    return false;
  }
}

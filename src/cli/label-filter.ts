// Label selectors as kubectl has them: `a=b,c!=d,e in (f,g),h notin (i),j,!k`.
import { CommandError } from "./exit.ts";

export type Labels = Readonly<Record<string, string>>;

/** Throws a CommandError where the text is none. */
export function labelFilter(text: string): (labels: Labels) => boolean {
  const requirements = parts(text).map((part) => requirement(part, text));
  return (labels) => requirements.every((holds) => holds(labels));
}

/** Split at the commas outside of parentheses. */
function parts(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function requirement(part: string, whole: string): (labels: Labels) => boolean {
  const name = "[A-Za-z0-9][A-Za-z0-9._/-]*";
  const match = (pattern: string) => new RegExp(`^${pattern}$`).exec(part);
  const set = match(`(${name})\\s+(in|notin)\\s*\\(([^()]*)\\)`);
  if (set) {
    const [, key = "", operator, list = ""] = set;
    const values = list.split(",").map((each) => each.trim());
    const isIn = (labels: Labels) => Object.hasOwn(labels, key) && values.includes(labels[key] as string);
    return operator === "in" ? isIn : (labels) => !isIn(labels);
  }
  const equal = match(`(${name})\\s*(==|=|!=)\\s*([A-Za-z0-9._-]*)`);
  if (equal) {
    const [, key = "", operator, value] = equal;
    const isEqual = (labels: Labels) => Object.hasOwn(labels, key) && labels[key] === value;
    return operator === "!=" ? (labels) => !isEqual(labels) : isEqual;
  }
  const exists = match(`(!?)\\s*(${name})`);
  if (exists) return (labels) => Object.hasOwn(labels, exists[2] as string) === (exists[1] === "");
  throw new CommandError(`-l takes labels, as in a=b,c!=d,e in (f,g),h,!i; "${part}" in "${whole}" is none`);
}

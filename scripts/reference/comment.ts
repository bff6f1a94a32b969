// The comments of the protos: what a page says of a type or field, and the default that stands in it.
import type { DescEnum, DescEnumValue, DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { getComments } from "@bufbuild/protoplugin";

export type Documented = DescMessage | DescField | DescOneof | DescEnum | DescEnumValue;

/** The comment above a declaration, as one paragraph; empty if there is none. */
export function comment(desc: Documented): string {
  return (getComments(desc).leading ?? "")
    .split("\n")
    .map((line) => line.trim())
    .join(" ")
    .trim();
}

/** A comment without its sentence `Default: …`, and what that sentence says. */
export function splitDefault(text: string): { description: string; byDefault: string } {
  const found = /\s*\bDefault: (.*?)\.(?=\s|$)/.exec(text);
  if (!found) return { description: text, byDefault: "" };
  const description = `${text.slice(0, found.index)}${text.slice(found.index + found[0].length)}`.trim();
  return { description, byDefault: found[1]! };
}

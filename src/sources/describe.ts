// A node in a few words, for messages.
import type { YamlNode } from "./yaml-node.ts";
import { resolveScalar } from "./yaml-scalar.ts";

/** A node in a few words: `a list`, `the number 8080`, `the text "x"`. */
export function describe(node: YamlNode): string {
  if (node.kind === "list") return "a list";
  if (node.kind === "map") return "a map";
  const scalar = resolveScalar(node);
  const text = node.text.length > 40 ? `${node.text.slice(0, 40)}…` : node.text;
  switch (scalar.kind) {
    case "null":
      return "empty";
    case "boolean":
      return `the boolean ${text}`;
    case "integer":
    case "float":
      return `the number ${text}`;
    case "text":
      return `the text ${JSON.stringify(text)}`;
  }
}

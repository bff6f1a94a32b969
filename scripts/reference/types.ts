// Which types the reference shows, and on which page each of them is.
import { posix } from "node:path";
import type { DescEnum, DescFile, DescMessage, FileRegistry } from "@bufbuild/protobuf";
import type { ApiTable } from "../dump-api.ts";

export type Type = DescMessage | DescEnum;

export interface Reference {
  /** The files that have a page, in the order of their paths. */
  readonly files: readonly DescFile[];
  readonly table: ApiTable;
  /** Path of a file's page in docs/reference. */
  pathOf(file: DescFile): string;
  /** The types on a file's page, in the order of their names: those that a user can write. */
  typesOf(file: DescFile): readonly Type[];
  /** Link from one page to a type; undefined for types of other people that have no page. */
  linkTo(type: Type, from: string): string | undefined;
}

/** Its resource object is not in the protos, only what it holds. */
const rateLimitConfig = ["ratelimit.api.solo.io.RateLimitConfigSpec", "ratelimit.api.solo.io.RateLimitConfigStatus"];

export function referenceOf(registry: FileRegistry, table: ApiTable): Reference {
  const shown = reachable(registry, [...Object.keys(table.resources), ...rateLimitConfig]);
  const files = [...new Set([...shown].map((type) => type.file))].sort((a, b) => (a.name < b.name ? -1 : 1));
  const pathOf = (file: DescFile) => `${file.name}.proto.md`;
  return {
    files,
    table,
    pathOf,
    typesOf: (file) => typesIn(file).filter((type) => shown.has(type)),
    linkTo: (type, from) => {
      if (wellKnown(type)) return `${posix.relative(posix.dirname(from), "README.md")}#${slug("How values are written")}`;
      if (!shown.has(type)) return undefined;
      const path = pathOf(type.file);
      const page = path === from ? "" : posix.relative(posix.dirname(from), path);
      return `${page}#${slug(localName(type))}`;
    },
  };
}

/** All types that a user can write in one of these messages, except Google's own. */
function reachable(registry: FileRegistry, roots: readonly string[]): Set<Type> {
  const seen = new Set<Type>();
  const visit = (type: Type | undefined) => {
    if (!type || seen.has(type) || wellKnown(type)) return;
    seen.add(type);
    if (type.kind === "message") for (const field of type.fields) visit(field.message ?? field.enum);
  };
  for (const root of roots) visit(registry.getMessage(root));
  return seen;
}

/** Google's types that every protobuf library has: Duration, Struct and so on. */
export function wellKnown(type: Type): boolean {
  return type.typeName.startsWith("google.");
}

/** Name of a type in its package: `Upstream.ClusterProtocolSelection`. */
export function localName(type: Type): string {
  return type.typeName.slice(type.file.proto.package.length + 1);
}

/** The anchor that a Markdown heading gets. */
export function slug(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, "")
    .replaceAll(" ", "-");
}

function typesIn(file: DescFile): Type[] {
  const inside = (type: Type): Type[] =>
    type.kind === "enum" ? [type] : [type, ...type.nestedEnums, ...type.nestedMessages.flatMap(inside)];
  return [...file.messages.flatMap(inside), ...file.enums].sort((a, b) => (a.typeName < b.typeName ? -1 : 1));
}

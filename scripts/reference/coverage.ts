// Which declarations of the protos have a comment. Whatever has a page must have one.
import type { FileRegistry } from "@bufbuild/protobuf";
import { isOfApi } from "../dump-api.ts";
import { comment, type Documented } from "./comment.ts";
import type { Reference, Type } from "./types.ts";

/** Types, fields and enum values that have a page and no comment. */
export function undocumented(reference: Reference): string[] {
  const all = withPage(reference).flatMap(declarations);
  return all
    .filter((desc) => comment(desc) === "")
    .map(nameOf)
    .sort();
}

/** How much has a comment, for people. */
export function coverage(registry: FileRegistry, reference: Reference): string[] {
  const everything = [...registry].filter((type) => type.kind === "message" || type.kind === "enum");
  return [
    share("what users can write", withPage(reference)),
    share(
      "all of the protos",
      everything.filter((type) => isOfApi(type.file)),
    ),
  ];
}

/** A type with its fields or values. */
export function declarations(type: Type): Documented[] {
  return [type, ...(type.kind === "message" ? type.fields : type.values)];
}

function withPage(reference: Reference): Type[] {
  return reference.files.flatMap((file) => reference.typesOf(file));
}

function share(name: string, types: readonly Type[]): string {
  const members = types.flatMap((type) => declarations(type).slice(1));
  const documented = members.filter((member) => comment(member) !== "").length;
  return `${name}: ${documented} of ${members.length} fields and values have a comment`;
}

function nameOf(desc: Documented): string {
  return desc.kind === "message" || desc.kind === "enum" ? desc.typeName : `${desc.parent!.typeName}.${desc.name}`;
}

// One page of the reference: the types of one proto file.
import { type DescEnum, type DescField, type DescFile, type DescMessage, type DescOneof, ScalarType } from "@bufbuild/protobuf";
import { comment, splitDefault } from "./comment.ts";
import { localName, type Reference, slug, type Type } from "./types.ts";

export function page(file: DescFile, reference: Reference): string {
  const from = reference.pathOf(file);
  const types = reference.typesOf(file);
  return [
    `# ${file.name.split("/").at(-1)}.proto`,
    `<!-- Made from the comments in proto/${file.name}.proto by "npm run reference". Edit them there. -->`,
    `### Package: \`${file.proto.package}\``,
    "#### Types:",
    types.map((type) => contents(type, reference)).join("\n"),
    ...types.map((type) => (type.kind === "message" ? messageSection(type, from, reference) : enumSection(type))),
  ]
    .join("\n\n")
    .concat("\n");
}

/** Text that stays in one cell of a table. */
export function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

function contents(type: Type, reference: Reference): string {
  const mark = reference.table.resources[type.typeName] ? " **Top-level resource**" : type.kind === "enum" ? " (enum)" : "";
  return `- [${localName(type)}](#${slug(localName(type))})${mark}`;
}

function messageSection(message: DescMessage, from: string, reference: Reference): string {
  const head = ["---", `### ${localName(message)}`, comment(message), inKubernetes(message, reference)].filter((part) => part !== "");
  if (message.fields.length === 0) return head.join("\n\n");
  const choices = message.oneofs.filter((oneof) => oneof.fields.length > 1).map(choice);
  return [...head, ...(choices.length > 0 ? [choices.join("\n")] : []), skeleton(message), fieldTable(message, from, reference)].join(
    "\n\n",
  );
}

/** How a resource is called in Kubernetes. */
function inKubernetes(message: DescMessage, reference: Reference): string {
  const crd = reference.table.crds[message.typeName.replace(/\.([^.]+)$/, "/$1")];
  if (!crd) return "";
  const names = [crd.plural, ...crd.shortNames].map((name) => `\`${name}\``).join(", ");
  return `In Kubernetes: \`apiVersion: ${crd.group}/${crd.versions[0]!.name}\`, \`kind: ${crd.kind}\`; for kubectl ${names}.`;
}

function choice(oneof: DescOneof): string {
  const members = oneof.fields.map((field) => `\`${field.jsonName}\``);
  return `- Only one of ${members.slice(0, -1).join(", ")} and ${members.at(-1)}. ${comment(oneof)}`.trim();
}

function skeleton(message: DescMessage): string {
  const lines = message.fields.map((field) => `"${field.jsonName}": ${typeText(field, typeName(field))}`);
  return ["```yaml", ...lines, "```"].join("\n");
}

function fieldTable(message: DescMessage, from: string, reference: Reference): string {
  const rows = message.fields.map((field) => {
    const { description, byDefault } = splitDefault(comment(field));
    const text = field.deprecated && !description.startsWith("Deprecated") ? `Deprecated. ${description}`.trim() : description;
    return `| \`${field.jsonName}\` | ${typeCell(field, from, reference)} | ${cell(text)} | ${cell(byDefault)} |`;
  });
  return ["| Field | Type | Description | Default |", "| ----- | ---- | ----------- | ------- |", ...rows].join("\n");
}

/** The type with a link to where it is explained; brackets escaped, for they mean something in Markdown. */
function typeCell(field: DescField, from: string, reference: Reference): string {
  const type = field.message ?? field.enum;
  const link = type && reference.linkTo(type, from);
  const escaped = typeText(field, "@").replace(/[[\]<>]/g, "\\$&");
  return escaped.replace("@", link ? `[${typeName(field)}](${link})` : typeName(field));
}

/** `string`, `[].core.solo.io.ResourceRef`, `map<string, .google.protobuf.Struct>`. */
function typeText(field: DescField, name: string): string {
  if (field.fieldKind === "map") return `map<${ScalarType[field.mapKey].toLowerCase()}, ${name}>`;
  return field.fieldKind === "list" ? `[]${name}` : name;
}

function typeName(field: DescField): string {
  const type = field.message ?? field.enum;
  return type ? `.${type.typeName}` : ScalarType[field.scalar!].toLowerCase();
}

function enumSection(type: DescEnum): string {
  const rows = type.values.map((value) => `| \`${value.name}\` | ${value.number} | ${cell(comment(value))} |`);
  const table = ["| Name | Number | Description |", "| ---- | ------ | ----------- |", ...rows].join("\n");
  return ["---", `### ${localName(type)}`, comment(type), table].filter((part) => part !== "").join("\n\n");
}

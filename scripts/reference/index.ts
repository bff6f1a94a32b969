// The first page of the reference: the resources, how values are written, all pages.
import type { DescFile } from "@bufbuild/protobuf";
import { comment } from "./comment.ts";
import { cell } from "./page.ts";
import { localName, type Reference, slug, type Type } from "./types.ts";

/** Resources whose messages go by other names than their kinds. */
const messageOfKind: Record<string, string> = { "ratelimit.solo.io.RateLimitConfig": "ratelimit.api.solo.io.RateLimitConfigSpec" };

/** Resources that Kubernetes keeps as objects of its own, or that are never stored there. */
const withoutCrd: Record<string, string> = {
  "gloo.solo.io.Secret": "a Secret of Kubernetes",
  "gloo.solo.io.Artifact": "a ConfigMap of Kubernetes",
  "gloo.solo.io.Endpoint": "computed, not stored",
  "ingress.solo.io.Ingress": "an Ingress of Kubernetes",
  "ingress.solo.io.KubeService": "a Service of Kubernetes",
};

const values = `
| Type | How it is written | Example |
| ---- | ----------------- | ------- |
| \`google.protobuf.Duration\` | A number with a unit: \`h\`, \`m\`, \`s\`, \`ms\`, \`us\`, \`ns\`; several may follow one another | \`1m30s\` |
| \`google.protobuf.BoolValue\`, \`UInt32Value\`, \`StringValue\`, … | The bare value; left out means "not given", which is not the same as \`false\` or \`0\` | \`true\` |
| \`google.protobuf.Struct\`, \`Value\`, \`ListValue\` | Free YAML or JSON | \`{ a: [1, 2] }\` |
| \`google.protobuf.Any\` | An object with the name of its type in \`@type\` | \`{ "@type": type.googleapis.com/…, … }\` |
| \`google.protobuf.Timestamp\` | A point in time (RFC 3339) | \`2026-01-31T12:00:00Z\` |
| \`google.protobuf.Empty\` | An empty object | \`{}\` |
| \`bytes\` | Base64 | \`aGVsbG8=\` |
| \`int64\`, \`uint64\` | A number, or the number as a string | \`"12"\` |
| enums | The name of the value | \`V4_ONLY\` |
`.trim();

export function indexPage(reference: Reference): string {
  return [
    "# API reference",
    '<!-- Made from the comments in the protos by "npm run reference". Edit them there. -->',
    "Every field of the API, by the file that defines it. In Kubernetes the fields of a resource stand under `spec`, except `metadata` and " +
      "`namespacedStatuses`; in files of Gloo's own layout they stand at the top.",
    "What options of listeners, virtual hosts and routes do, and how that is tested, is in [Options](options.md).",
    "## Resources",
    resources(reference),
    "## How values are written",
    values,
    "## All pages",
    reference.files.map((file) => pageLine(file, reference)).join("\n"),
  ]
    .join("\n\n")
    .concat("\n");
}

function resources(reference: Reference): string {
  const crds = Object.values(reference.table.crds);
  const types = new Map(reference.files.flatMap((file) => reference.typesOf(file)).map((type) => [type.typeName, type]));
  const stored = crds.map((crd) => ({
    type: types.get(messageOfKind[`${crd.group}.${crd.kind}`] ?? `${crd.group}.${crd.kind}`),
    cells: [crd.kind, `${crd.group}/${crd.versions[0]!.name}`, crd.plural, crd.shortNames.join(", ")],
  }));
  const others = Object.entries(withoutCrd).map(([name, why]) => {
    const [group, kind] = [name.slice(0, name.lastIndexOf(".")), name.slice(name.lastIndexOf(".") + 1)];
    return { type: types.get(name), cells: [kind, group, why, reference.table.resources[name]!.short_name] };
  });
  const rows = [...stored, ...others].map(
    ({ type, cells: [kind, ...rest] }) => `| ${kindCell(kind!, type, reference)} | ${rest.join(" | ")} | ${about(type)} |`,
  );
  return [
    "| Kind | Group and version | Plural | Short names | What it is |",
    "| ---- | ----------------- | ------ | ----------- | ---------- |",
    ...rows,
  ].join("\n");
}

function kindCell(kind: string, type: Type | undefined, reference: Reference): string {
  return type ? `[${kind}](${reference.linkTo(type, "README.md")})` : kind;
}

/** The first sentence of what is said of a type. */
function about(type: Type | undefined): string {
  if (!type) return "Only for the Kubernetes Gateway API; not part of these protos.";
  return cell(/^.*?\.(?=\s|$)/.exec(comment(type))?.[0] ?? "");
}

function pageLine(file: DescFile, reference: Reference): string {
  const path = reference.pathOf(file);
  const names = reference.typesOf(file).filter((type) => type.kind === "message" && !type.parent);
  return `- [${file.name}.proto](${path}) · \`${file.proto.package}\`: ${names.map((type) => `[${localName(type)}](${path}#${slug(localName(type))})`).join(", ")}`;
}

// The values of the Helm chart: what values.yaml and values.schema.json say of each, and the table in the chart's README.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMap, isScalar, type Pair, parseDocument, type YAMLMap } from "yaml";

export interface Value {
  /** `xds.tls.mode` */
  readonly path: string;
  readonly default: unknown;
  /** The comment above it in values.yaml. */
  readonly comment: string;
}

interface ValueSchema {
  readonly properties?: Readonly<Record<string, ValueSchema>>;
}

const chart = join(import.meta.dirname, "../../deploy/helm/headworks");

/** In the order of values.yaml. What the schema leaves open (`resources`) is one value. */
export function chartValues(): Value[] {
  const document = parseDocument(readFileSync(join(chart, "values.yaml"), "utf8"));
  const schema = JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8")) as ValueSchema;
  return valuesIn(document.contents as YAMLMap, schema, "");
}

/** Every path that the schema knows. */
export function schemaPaths(): string[] {
  const paths = ({ properties = {} }: ValueSchema, above: string): string[] =>
    Object.entries(properties).flatMap(([key, each]) => (each.properties ? paths(each, `${above}${key}.`) : [`${above}${key}`]));
  return paths(JSON.parse(readFileSync(join(chart, "values.schema.json"), "utf8")), "");
}

function valuesIn(map: YAMLMap, schema: ValueSchema, above: string): Value[] {
  return (map.items as Pair[]).flatMap((pair, index) => {
    const key = String(isScalar(pair.key) ? pair.key.value : pair.key);
    const path = `${above}${key}`;
    const inner = schema.properties?.[key];
    const comment = commentOf(pair, index === 0 ? map : undefined);
    if (isMap(pair.value) && inner?.properties) return withComment(valuesIn(pair.value, inner, `${path}.`), comment);
    return [{ path, default: isMap(pair.value) || !isScalar(pair.value) ? toJson(pair.value) : pair.value.value, comment }];
  });
}

/** A comment on a group is said of its first value that has none. */
function withComment([first, ...others]: Value[], comment: string): Value[] {
  return first === undefined ? [] : [{ ...first, comment: first.comment || comment }, ...others];
}

function commentOf(pair: Pair, map: YAMLMap | undefined): string {
  const own = isScalar(pair.key) ? pair.key.commentBefore : undefined;
  const text = own ?? map?.commentBefore ?? "";
  // Only what stands directly above: an empty line ends a comment about the file.
  const last = text.split(/\n\s*\n/).at(-1) as string;
  return last
    .split("\n")
    .map((line) => line.trim())
    .join(" ")
    .trim();
}

function toJson(node: unknown): unknown {
  return (node as { toJSON(): unknown } | null)?.toJSON() ?? null;
}

/** As Markdown. */
export function valuesTable(): string {
  const rows = chartValues().map(
    ({ path, default: value, comment }) => `| \`${path}\` | \`${JSON.stringify(value)}\` | ${comment.replaceAll("|", "\\|")} |`,
  );
  return ["| value | default | |", "|---|---|---|", ...rows].join("\n");
}

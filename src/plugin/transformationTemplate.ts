// The API's transformations, in their two spellings (of routes, and of functions) → our own words.
import type {
  Extraction as FilterExtraction,
  TransformationTemplate as FilterTemplate,
} from "../gen/gloo/gloo/projects/gloo/api/external/envoy/extensions/transformation/transformation_pb.js";
import {
  type Extraction,
  Extraction_Mode,
  type TransformationTemplate,
  TransformationTemplate_RequestBodyParse,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/transformation/transformation_pb.js";
import { TemplateFault } from "../template/ast.ts";
import { within } from "../template/plan-fault.ts";
import type { Extractor, Transformation } from "../template/transformation.ts";

/** Where dynamic metadata is kept that names no place, as in Gloo. */
const defaultNamespace = "io.solo.transformation";

/**
 * Throws a `PlanFault` for what cannot be. `more` are extractors that win over the template's of the same name; `escapes` counts where the
 * template says nothing about it.
 */
export function transformationOf(
  template: TransformationTemplate | FilterTemplate,
  { more = [], escapes = false }: { readonly more?: readonly Extractor[]; readonly escapes?: boolean } = {},
): Transformation {
  const own = within("extractors", () =>
    entries<Extraction | FilterExtraction>(template.extractors).map(([name, each]) => within(name, () => extractorOf(name, each))),
  );
  const names = new Set(more.map(({ name }) => name));
  return {
    extractors: [...own.filter(({ name }) => !names.has(name)), ...more],
    headers: entries<{ readonly text: string }>(template.headers).map(([name, { text }]) => [name, text]),
    append: template.headersToAppend.map(({ key, value }) => [key, value?.text ?? ""]),
    remove: template.headersToRemove,
    body: bodyOf(template),
    metadata: template.dynamicMetadataValues.map(({ metadataNamespace, key, value, jsonToProto }) => ({
      namespace: metadataNamespace || defaultNamespace,
      key,
      template: value?.text ?? "",
      isJson: jsonToProto,
    })),
    parsesBody: (template.parseBodyBehavior as number) === TransformationTemplate_RequestBodyParse.ParseAsJson,
    ignoresBadBody: template.ignoreErrorOnParse,
    advanced: template.advancedTemplates,
    escapes: template.escapeCharacters ?? escapes,
  };
}

function extractorOf(name: string, { source, regex, subgroup, mode, replacementText }: Extraction | FilterExtraction): Extractor {
  const kind = modes[mode as Extraction_Mode];
  const text = kind === "extract" && replacementText === "" ? undefined : replacementText;
  if (kind === "extract" && text !== undefined)
    throw new TemplateFault(`replacement text should not be set for extractor ${name} in mode EXTRACT`);
  if (kind !== "extract" && text === undefined)
    throw new TemplateFault(`replacement text must be set for extractor ${name} in mode ${Extraction_Mode[mode]}`);
  if (kind === "replaceAll" && subgroup !== 0)
    throw new TemplateFault(`subgroup should not be set for extractor ${name} in mode REPLACE_ALL`);
  return {
    name,
    ...(source.case !== "body" && { header: (source.value ?? "").toLowerCase() }),
    regex,
    subgroup,
    mode: kind,
    ...(text !== undefined && { replacement: text }),
  };
}

type MergedKeyMessage = { readonly tmpl?: { readonly text: string } | undefined; readonly overrideEmpty: boolean };

const modes = {
  [Extraction_Mode.EXTRACT]: "extract",
  [Extraction_Mode.SINGLE_REPLACE]: "replaceGroup",
  [Extraction_Mode.REPLACE_ALL]: "replaceAll",
} as const;

function bodyOf({ bodyTransformation }: TransformationTemplate | FilterTemplate): Transformation["body"] {
  switch (bodyTransformation.case) {
    case "body":
      return { kind: "template", template: bodyTransformation.value.text };
    case "passthrough":
      return { kind: "passthrough" };
    case "mergeExtractorsToBody":
      return { kind: "mergeExtractors" };
    case "mergeJsonKeys": {
      const keys = entries<MergedKeyMessage>(bodyTransformation.value.jsonKeys);
      return {
        kind: "mergeKeys",
        keys: keys.map(([name, { tmpl, overrideEmpty }]) => ({ name, template: tmpl?.text ?? "", evenEmpty: overrideEmpty })),
      };
    }
    default:
      return { kind: "keep" };
  }
}

function entries<T>(map: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}

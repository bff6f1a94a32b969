// The API's TransformationTemplate → what a script is made of. Says what no script can do yet.
import {
  Extraction_Mode,
  type TransformationTemplate,
  TransformationTemplate_RequestBodyParse,
} from "../gen/gloo/gloo/projects/gloo/api/external/envoy/extensions/transformation/transformation_pb.js";
import { TemplateFault } from "../template/ast.ts";
import type { Extractor, Transformation } from "../template/lua.ts";

/** Throws a {@link TemplateFault} for what is beyond. `more` are extractors that win over the template's of the same name. */
export function transformationOf(template: TransformationTemplate, more: readonly Extractor[] = []): Transformation {
  const beyond = [
    template.dynamicMetadataValues.length > 0 && "dynamicMetadataValues",
    template.spanTransformer && "spanTransformer",
    template.escapeCharacters && "escapeCharacters",
    template.bodyTransformation.case === "mergeJsonKeys" && "mergeJsonKeys",
  ].find(Boolean);
  if (beyond) throw new TemplateFault(`${beyond} is not supported yet`);
  const own = entries(template.extractors).map(([name, extraction]): Extractor => {
    const { source, regex, subgroup, mode } = extraction;
    if (mode !== Extraction_Mode.EXTRACT)
      throw new TemplateFault(`the mode ${Extraction_Mode[mode]} of the extractor ${name} is not supported yet`);
    if (source.case !== "header") throw new TemplateFault(`the extractor ${name} reads the body, which is not supported yet`);
    return { name, header: source.value.toLowerCase(), regex, subgroup };
  });
  const names = new Set(more.map(({ name }) => name));
  return {
    extractors: [...own.filter(({ name }) => !names.has(name)), ...more],
    headers: entries(template.headers).map(([name, { text }]) => [name, text]),
    append: template.headersToAppend.map(({ key, value }) => [key, value?.text ?? ""]),
    remove: template.headersToRemove,
    body: bodyOf(template),
    parsesBody: template.parseBodyBehavior === TransformationTemplate_RequestBodyParse.ParseAsJson,
    ignoresBadBody: template.ignoreErrorOnParse,
    advanced: template.advancedTemplates,
  };
}

function bodyOf({ bodyTransformation }: TransformationTemplate): Transformation["body"] {
  switch (bodyTransformation.case) {
    case "body":
      return { kind: "template", template: bodyTransformation.value.text };
    case "passthrough":
      return { kind: "passthrough" };
    case "mergeExtractorsToBody":
      return { kind: "mergeExtractors" };
    default:
      return { kind: "keep" };
  }
}

function entries<T>(map: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
}

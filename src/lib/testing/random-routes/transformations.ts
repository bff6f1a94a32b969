// Transformations of requests and responses.
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import type { Words } from "./words.ts";

export function transformations({ isWild, any, some, parts }: Words): Record<string, Values> {
  const transformation = any(
    { transformationTemplate: { headers: { "x-t": { text: '{{ header(":path") }}' } }, passthrough: {} } },
    { transformationTemplate: { body: { text: '{"a": "{{ default(b, "none") }}"}' } } },
    {
      transformationTemplate: {
        extractors: { id: { header: ":path", regex: "/(.*)", subgroup: 1 } },
        headers: { "x-id": { text: "{{ id }}" } },
        mergeExtractorsToBody: {},
      },
    },
    ...(isWild
      ? [
          { transformationTemplate: { body: { text: "{{ nope(" } } },
          { transformationTemplate: { extractors: { id: { header: ":path", regex: "(" } } } },
          {},
        ]
      : []),
  );
  return {
    "transformation.options.gloo.solo.io.Transformations": parts({
      requestTransformation: transformation,
      responseTransformation: transformation,
      clearRouteCache: fc.boolean(),
    }),
    "transformation.options.gloo.solo.io.TransformationStages": parts({
      early: parts({
        requestTransforms: some(
          parts({ requestTransformation: transformation, matcher: any({ prefix: "/a" }) }, ["requestTransformation"]),
        ),
      }),
      regular: parts({
        requestTransforms: some(parts({ requestTransformation: transformation, clearRouteCache: fc.boolean() }, ["requestTransformation"])),
        responseTransforms: some(parts({ responseTransformation: transformation }, ["responseTransformation"])),
      }),
    }),
  };
}

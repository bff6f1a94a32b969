import type { Transformation } from "../../template/transformation.ts";

/** Changes nothing: tests add what they are about. */
export const plainTransformation: Transformation = {
  extractors: [],
  headers: [],
  append: [],
  remove: [],
  body: { kind: "keep" },
  parsesBody: true,
  ignoresBadBody: false,
  advanced: false,
};

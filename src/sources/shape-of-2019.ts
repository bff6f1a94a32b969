// Objects in the shape of 2019.
import type { ApiKind } from "../model/resource.ts";
import type { Reader } from "./reader.ts";
import type { YamlNode } from "./yaml-node.ts";

export function convertOldShape(node: YamlNode, kind: ApiKind, reader?: Reader): YamlNode {
  void kind;
  void reader;
  return node;
}

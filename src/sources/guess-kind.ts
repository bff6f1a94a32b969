// The kind of an object of file mode that lies outside of Gloo's folders: told by its fields, when only one kind has them.
import type { DescMessage } from "@bufbuild/protobuf";
import { type ApiKind, kinds } from "../model/resource.ts";
import { fieldsByName } from "./field-names.ts";
import { apiKinds } from "./object-kind.ts";
import { contentOf } from "./object-node.ts";
import { convertOldShape } from "./shape-of-2019.ts";
import type { MapNode, YamlNode } from "./yaml-node.ts";

/** The kind, or those that it could be. */
export function guessKind(node: MapNode): ApiKind | { readonly candidates: readonly ApiKind[] } {
  const content = contentOf({ envelope: "file", node });
  if (content?.kind !== "map" || content.entries.length === 0) return { candidates: [] };
  let best: ApiKind[] = [];
  let bestScore = 0;
  for (const kind of apiKinds) {
    const points = score(convertOldShape(content, kind), kinds[kind].schema, 2);
    if (points > bestScore) best = [];
    if (points > 0 && points >= bestScore) {
      best.push(kind);
      bestScore = points;
    }
  }
  return best.length === 1 ? best[0]! : { candidates: best };
}

/** How many keys of the first levels the message knows, less those that it does not know. */
function score(node: YamlNode, desc: DescMessage, levels: number): number {
  if (node.kind !== "map") return 0;
  const names = fieldsByName(desc);
  let points = 0;
  for (const entry of node.entries) {
    const field = names.get(entry.key)?.field;
    if (!field) points -= 1;
    else points += 1 + (levels > 1 && field.fieldKind === "message" ? score(entry.value, field.message, levels - 1) : 0);
  }
  return points;
}

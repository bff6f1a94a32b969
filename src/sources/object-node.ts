// A document cut into objects: which keys are the envelope, what is the content. Kubernetes objects have `apiVersion`, `kind`,
// `metadata`, `spec`; objects of Gloo's file mode have their fields at top level, beside `metadata`.
import type { MapEntry, MapNode, YamlNode } from "./yaml-node.ts";
import { entryOf } from "./yaml-node.ts";

export interface ObjectNode {
  readonly envelope: "kubernetes" | "file";
  readonly node: MapNode;
}

/** Statuses are written by us and read by others; in what comes in they mean nothing (features: "accept and drop"). */
const statusKeys = new Set(["status", "namespacedStatuses", "namespaced_statuses", "reporterStatus", "reporter_status", "statuses"]);

export function isStatusKey(key: string): boolean {
  return statusKeys.has(key);
}

/** The objects of a document: itself, or the items of a `kind: List`, however deep. */
export function objectsOf(root: YamlNode): ObjectNode[] {
  const objects: ObjectNode[] = [];
  collect(root, objects);
  return objects;
}

function collect(node: YamlNode, into: ObjectNode[]): void {
  if (node.kind === "list") {
    // A list of objects at top level is what `jq .items` leaves.
    for (const item of node.items) if (item.kind === "map" && isKubernetes(item)) collect(item, into);
    return;
  }
  if (node.kind !== "map") return;
  if (!isKubernetes(node)) {
    into.push({ envelope: "file", node });
    return;
  }
  const items = entryOf(node, "items")?.value;
  if (textOf(node, "kind")?.endsWith("List") && items?.kind === "list") {
    for (const item of items.items) collect(item, into);
    return;
  }
  into.push({ envelope: "kubernetes", node });
}

function isKubernetes(node: MapNode): boolean {
  return node.entries.some((entry) => entry.key === "apiVersion" || entry.key === "kind");
}

/** The text of a key; undefined when it is missing or no text. */
export function textOf(node: YamlNode | undefined, key: string): string | undefined {
  const value = entryOf(node, key)?.value;
  return value?.kind === "scalar" && value.text !== "" ? value.text : undefined;
}

/** The same map with some entries only. */
export function mapWith(node: MapNode, keep: (entry: MapEntry) => boolean): MapNode {
  return { ...node, entries: node.entries.filter(keep) };
}

/** What an object configures, without envelope and statuses. */
export function contentOf(object: ObjectNode): YamlNode | undefined {
  const { node } = object;
  if (object.envelope === "kubernetes") {
    const spec = entryOf(node, "spec")?.value;
    return spec?.kind === "map" ? mapWith(spec, (entry) => !isStatusKey(entry.key) && entry.key !== "metadata") : spec;
  }
  return mapWith(node, (entry) => entry.key !== "metadata" && !isStatusKey(entry.key));
}

// An object of the Kubernetes API, or one kept as JSON elsewhere, to a resource: as a file's, but without places.
import { hash } from "node:crypto";
import type { Registry } from "@bufbuild/protobuf";
import type { Severity } from "../model/problem.ts";
import { apiTypes } from "./any-types.ts";
import { type Layout, type ReadResult, readDocument } from "./envelope.ts";
import { nodeOfJson } from "./yaml-node.ts";

export interface ReadJsonOptions {
  /** The name of the source, for `Origin.source`. */
  readonly source: string;
  /** For objects without `apiVersion` and `kind`: what the key that they stand under says. */
  readonly layout?: Layout;
  /** For messages in a `google.protobuf.Any`; the types of the API unless given. */
  readonly types?: Registry;
  /** Fields of Upstreams that belong to types of the user. */
  readonly customKinds?: readonly string[];
  /** How bad a field is that nothing knows; an error unless given. */
  readonly unknownFields?: Severity;
}

/**
 * Reads one object (or a List of them). The version covers labels, annotations and content, so that a status or a resourceVersion
 * written by somebody changes nothing.
 */
export function readJson(object: unknown, options: ReadJsonOptions): ReadResult {
  return readDocument(
    { root: nodeOfJson(object), findings: [] },
    {
      origin: { source: options.source },
      ...(options.layout && { layout: options.layout }),
      types: options.types ?? apiTypes(),
      ...(options.customKinds && { customKinds: options.customKinds }),
      ...(options.unknownFields && { unknownFields: options.unknownFields }),
      locate: () => undefined,
      versionOf: (node) => hash("sha256", canonical(contentOf(jsonOf(node))), "hex").slice(0, 16),
    },
  );
}

type Node = ReturnType<typeof nodeOfJson>;

/** Back to JSON: a List is cut into objects as a tree, so the version has to be of the part. */
function jsonOf(node: Node): unknown {
  switch (node.kind) {
    case "scalar":
      return node.isPlain ? [node.text] : node.text;
    case "list":
      return { list: node.items.map(jsonOf) };
    case "map":
      return Object.fromEntries(node.entries.map((entry) => [entry.key, jsonOf(entry.value)]));
  }
}

function contentOf(object: unknown): unknown {
  if (typeof object !== "object" || object === null) return object;
  const { metadata, status, namespacedStatuses, ...content } = object as Record<string, unknown>;
  const { name, namespace, labels, annotations } = (metadata ?? {}) as Record<string, unknown>;
  // Of a Pod, what counts is its address, which is status.
  return { ...content, ...(content.kind === "Pod" && { status }), metadata: { name, namespace, labels, annotations } };
}

/** JSON with its keys in order: equal content, equal text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}

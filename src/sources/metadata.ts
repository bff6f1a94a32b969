// `metadata` of an object, in either envelope.
import { closest } from "../lib/closest.ts";
import { setOwn } from "../lib/set-own.ts";
import { decodeText } from "./decode-scalar.ts";
import { describe } from "./describe.ts";
import type { Reader } from "./reader.ts";
import type { MapEntry, YamlNode } from "./yaml-node.ts";

export interface Metadata {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly createdAt?: string;
}

/** Fields that others write and nobody here reads. */
const known = new Set(
  `name namespace labels annotations creationTimestamp generateName resourceVersion generation uid selfLink finalizers ownerReferences
   managedFields deletionTimestamp deletionGracePeriodSeconds clusterName cluster initializers observedGeneration`.split(/\s+/),
);
const snakeCase: Readonly<Record<string, string>> = {
  resource_version: "resourceVersion",
  owner_references: "ownerReferences",
  observed_generation: "observedGeneration",
};

export function readMetadata(node: YamlNode | undefined, reader: Reader): Metadata {
  const metadata: { -readonly [K in keyof Metadata]: Metadata[K] } = { labels: {}, annotations: {} };
  if (node === undefined || (node.kind === "scalar" && node.isPlain && node.text === "")) return metadata;
  reader.path.push("metadata");
  if (node.kind !== "map") reader.error("InvalidMetadata", `metadata is an object; this is ${describe(node)}`, node);
  else for (const entry of node.entries) readEntry(metadata, entry, reader);
  reader.path.pop();
  return metadata;
}

function readEntry(metadata: { -readonly [K in keyof Metadata]: Metadata[K] }, entry: MapEntry, reader: Reader): void {
  reader.path.push(entry.key);
  switch (entry.key) {
    case "name":
    case "namespace": {
      const value = decodeText(entry.value, reader);
      if (value) metadata[entry.key] = value;
      break;
    }
    case "labels":
    case "annotations":
      metadata[entry.key] = readTexts(entry.value, reader);
      break;
    case "creationTimestamp":
      if (entry.value.kind === "scalar" && !Number.isNaN(Date.parse(entry.value.text))) {
        metadata.createdAt = new Date(entry.value.text).toISOString();
      }
      break;
    default:
      if (!known.has(snakeCase[entry.key] ?? entry.key)) {
        const near = closest(entry.key, known);
        const span = { start: entry.keyStart, end: entry.keyEnd };
        reader.error("UnknownField", `unknown field "${entry.key}" in metadata`, span, near && `did you mean "${near}"?`);
      }
  }
  reader.path.pop();
}

function readTexts(node: YamlNode, reader: Reader): Record<string, string> {
  const texts: Record<string, string> = {};
  if (node.kind === "scalar" && node.isPlain && /^(|~|null)$/i.test(node.text)) return texts;
  if (node.kind !== "map") {
    reader.error("InvalidMetadata", `this is a map of text to text; here is ${describe(node)}`, node);
    return texts;
  }
  for (const entry of node.entries) {
    reader.path.push(entry.key);
    const value = decodeText(entry.value, reader);
    if (value !== undefined) setOwn(texts, entry.key, value);
    reader.path.pop();
  }
  return texts;
}

const dns1123Subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dns1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** What is wrong with a name, in words; undefined when nothing is. */
export function nameMistake(name: string): string | undefined {
  if (name.length > 253) return `the name is ${name.length} characters long; at most 253 are possible`;
  if (!dns1123Subdomain.test(name)) {
    return `${JSON.stringify(name)} is not a name: lower case letters, digits, "-" and ".", beginning and ending with a letter or digit`;
  }
  return undefined;
}

export function namespaceMistake(namespace: string): string | undefined {
  if (namespace.length > 63) return `the namespace is ${namespace.length} characters long; at most 63 are possible`;
  if (!dns1123Label.test(namespace)) {
    return `${JSON.stringify(namespace)} is not a namespace: lower case letters, digits and "-", beginning and ending with a letter or digit`;
  }
  return undefined;
}

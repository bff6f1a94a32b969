// Objects of Kubernetes itself. Secrets and ConfigMaps become ours, as Gloo makes them; the others are kept as the JSON they are.
import { create, type JsonObject, type MessageInitShape, type Registry } from "@bufbuild/protobuf";
import { ArtifactSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/artifact_pb.js";
import { SecretSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/secret_pb.js";
import { setOwn } from "../lib/set-own.ts";
import type { Spec } from "../model/resource.ts";
import { decodeMessage } from "./decode.ts";
import { decodeText } from "./decode-scalar.ts";
import { jsonOf } from "./decode-well-known.ts";
import { describe } from "./describe.ts";
import type { Metadata } from "./metadata.ts";
import { textOf } from "./object-node.ts";
import type { Reader } from "./reader.ts";
import { parseYaml } from "./yaml.ts";
import { entryOf, type MapEntry, type MapNode, type YamlNode } from "./yaml-node.ts";

/** Everything but the envelope. */
export function readKubeObject(node: MapNode, reader: Reader): JsonObject {
  const rest = node.entries.filter((entry) => entry.key !== "apiVersion" && entry.key !== "kind" && entry.key !== "metadata");
  return jsonOf({ ...node, entries: rest }, reader) as JsonObject;
}

/** A ConfigMap is an Artifact; those that only carry a leader's lease are skipped. */
export function readConfigMap(node: MapNode, metadata: Metadata, reader: Reader): Spec<"Artifact"> | "skip" {
  if (Object.hasOwn(metadata.annotations, "control-plane.alpha.kubernetes.io/leader")) return "skip";
  return create(ArtifactSchema, { data: texts(entryOf(node, "data"), reader) });
}

function texts(entry: MapEntry | undefined, reader: Reader): Record<string, string> {
  const found: Record<string, string> = {};
  forEachEntry(entry, reader, (each) => {
    const text = decodeText(each.value, reader);
    if (text !== undefined) setOwn(found, each.key, text);
  });
  return found;
}

function forEachEntry(entry: MapEntry | undefined, reader: Reader, visit: (entry: MapEntry) => void): void {
  if (!entry || isNull(entry.value)) return;
  reader.path.push(entry.key);
  if (entry.value.kind !== "map") {
    reader.error("BadKubeObject", `${entry.key} is a map; this is ${describe(entry.value)}`, entry.value);
  } else {
    for (const each of entry.value.entries) {
      reader.path.push(each.key);
      visit(each);
      reader.path.pop();
    }
  }
  reader.path.pop();
}

function isNull(node: YamlNode): boolean {
  return node.kind === "scalar" && node.isPlain && /^(|~|null|Null|NULL)$/.test(node.text);
}

interface Datum {
  readonly bytes: Uint8Array;
  readonly text: string;
  readonly entry: MapEntry;
}

type SecretKind = MessageInitShape<typeof SecretSchema>["kind"];

/**
 * A Kubernetes Secret as ours. The first row that fits wins, as in Gloo: the type `kubernetes.io/tls`, the keys of AWS, the types
 * of ext-auth, our own Opaque form, then any other Opaque Secret as headers. Service account tokens and their like are skipped.
 */
export function readSecret(node: MapNode, metadata: Metadata, reader: Reader, types: Registry): Spec<"Secret"> | "skip" {
  const data = secretData(node, reader);
  const kind = secretKind(textOf(node, "type") ?? "Opaque", data, metadata);
  if (kind === "skip") return "skip";
  return kind === "own" ? ownForm(data, reader, types) : create(SecretSchema, { kind });
}

function secretData(node: MapNode, reader: Reader): Map<string, Datum> {
  const data = new Map<string, Datum>();
  forEachEntry(entryOf(node, "data"), reader, (entry) => {
    if (isNull(entry.value)) return void data.set(entry.key, { bytes: new Uint8Array(), text: "", entry });
    const written = entry.value.kind === "scalar" ? entry.value.text.replaceAll(/\s/g, "") : undefined;
    if (written === undefined || !/^[A-Za-z0-9+/]*={0,2}$/.test(written) || written.length % 4 !== 0) {
      reader.error(
        "BadBase64",
        "the values under data are base64; this is not",
        entry.value,
        "move it to stringData, where text is written as it is",
      );
      return;
    }
    const buffer = Buffer.from(written, "base64");
    data.set(entry.key, { bytes: new Uint8Array(buffer), text: buffer.toString(), entry });
  });
  forEachEntry(entryOf(node, "stringData"), reader, (entry) => {
    const text = decodeText(entry.value, reader);
    if (text !== undefined) data.set(entry.key, { bytes: new TextEncoder().encode(text), text, entry });
  });
  return data;
}

function secretKind(type: string, data: ReadonlyMap<string, Datum>, metadata: Metadata): SecretKind | "own" | "skip" {
  const text = (key: string) => data.get(key)?.text ?? "";
  if (type === "kubernetes.io/tls") {
    const ocspStaple = data.get("tls.ocsp-staple")?.bytes ?? new Uint8Array();
    return { case: "tls", value: { certChain: text("tls.crt"), privateKey: text("tls.key"), rootCa: text("ca.crt"), ocspStaple } };
  }
  if (data.has("aws_access_key_id") && data.has("aws_secret_access_key")) {
    const value = {
      accessKey: text("aws_access_key_id"),
      secretKey: text("aws_secret_access_key"),
      sessionToken: text("aws_session_token"),
    };
    return { case: "aws", value };
  }
  switch (type) {
    case "extauth.solo.io/apikey": {
      const others = [...data].filter(([key]) => key !== "api-key");
      return { case: "apiKey", value: { apiKey: text("api-key"), metadata: textsOf(others) } };
    }
    case "extauth.solo.io/oauth":
      return { case: "oauth", value: { clientSecret: text("client-secret") } };
    case "extauth.solo.io/accountcredentials":
      return { case: "credentials", value: { username: text("username"), password: text("password") } };
    case "gloo.solo.io.EncryptionKeySecret":
      return { case: "encryption", value: { key: text("key") } };
  }
  if (metadata.annotations.resource_kind === "*v1.Secret") return "own";
  const isHeader = type === "gloo.solo.io/header" || (type === "Opaque" && data.size > 0);
  return isHeader ? { case: "header", value: { headers: textsOf([...data]) } } : "skip";
}

function textsOf(data: readonly (readonly [string, Datum])[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [key, datum] of data) setOwn(found, key, datum.text);
  return found;
}

/** glooctl's own form: each key is a member of the oneof, its value a YAML body. */
function ownForm(data: ReadonlyMap<string, Datum>, reader: Reader, types: Registry): Spec<"Secret"> {
  const entries: MapEntry[] = [];
  for (const { text, entry } of data.values()) {
    const parsed = parseYaml(text);
    const problem = "failure" in parsed ? parsed.failure : parsed.documents.flatMap((each) => each.findings)[0];
    if (problem || "failure" in parsed) {
      reader.error("BadKubeObject", `the YAML in it is broken: ${problem?.message}`, entry.value);
      continue;
    }
    const root = parsed.documents[0]?.root;
    if (root) entries.push({ ...entry, value: placedAt(root, entry.value) });
  }
  return decodeMessage(SecretSchema, { kind: "map", entries, start: -1, end: -1 }, reader, { types }) as Spec<"Secret">;
}

/** The places inside of base64 mean nothing to a reader; the value they stand in does. */
function placedAt(node: YamlNode, place: YamlNode): YamlNode {
  const { start, end } = place;
  switch (node.kind) {
    case "scalar":
      return { ...node, start, end };
    case "list":
      return { ...node, items: node.items.map((item) => placedAt(item, place)), start, end };
    case "map":
      return {
        ...node,
        entries: node.entries.map((entry) => ({ ...entry, keyStart: start, keyEnd: end, value: placedAt(entry.value, place) })),
        start,
        end,
      };
  }
}

// Envoy resources as proto-JSON, for people: `translate`, `get proxies -o json`, the admin API.
//
// Whatever is packed in an Any is unpacked, so every type of Envoy's schema must be known. They come from the descriptor set that
// the generated code was made from (proto/envoy.binpb.gz); it is read when first needed, in about 70 ms.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createFileRegistry, type DescMessage, type FileRegistry, fromBinary, type JsonObject, toJson } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { packageRoot } from "../lib/package-root.ts";
import type { EnvoyResource } from "../model/envoy-resource.ts";

let loaded: FileRegistry | undefined;

/** All types of Envoy's API. */
export function envoyTypes(): FileRegistry {
  loaded ??= createFileRegistry(fromBinary(FileDescriptorSetSchema, unzipped("proto/envoy.binpb.gz")));
  return loaded;
}

/** Loaded with this only: whoever merely might show resources does without. */
function unzipped(path: string): Uint8Array {
  return process.getBuiltinModule("node:zlib").gunzipSync(readFileSync(join(packageRoot, path)));
}

/** A resource as Envoy's documentation writes it. Secrets are as they are in the resource; see redact.ts for what leaves the process. */
export function envoyJson(resource: EnvoyResource): JsonObject {
  const schema = envoyType(resource.typeUrl);
  return toJson(schema, fromBinary(schema, resource.bytes), { registry: envoyTypes() }) as JsonObject;
}

export function envoyType(typeUrl: string): DescMessage {
  const name = typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
  const schema = envoyTypes().getMessage(name);
  if (schema === undefined) throw new Error(`${name} is no type of Envoy's API`);
  return schema;
}

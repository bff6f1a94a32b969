// A resource's spec as JSON.
import { type DescMessage, type Message, toJson } from "@bufbuild/protobuf";
import { kinds, type Resource } from "../model/resource.ts";
import { envoyTypes } from "./envoy-json.ts";

/** The spec in proto-JSON, secrets as they are. */
export function plainSpec(resource: Resource): unknown {
  const info = schemaOf(resource);
  if (info === undefined || resource.spec === undefined) return resource.spec;
  const schema: DescMessage = info.schema;
  return toJson(schema, resource.spec as Message, { registry: envoyTypes() });
}

export function schemaOf(resource: Resource) {
  return (kinds as Readonly<Record<string, (typeof kinds)[keyof typeof kinds]>>)[resource.kind];
}

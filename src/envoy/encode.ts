// Messages to bytes: once, with equal bytes for equal content.
import { hash } from "node:crypto";
import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { EnvoyResource, TypeUrl } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import { notePacked, violationsOf } from "./constraints.ts";

/** Encodes a message as a resource. Map fields must be built in sorted order ({@link sortedMap}): protobuf keeps insertion order. */
export function envoyResource<S extends DescMessage>(
  schema: S,
  name: string,
  message: MessageShape<S> | MessageInitShape<S>,
  owners: readonly ResourceKey[],
): EnvoyResource {
  return resourceOfBytes(
    `type.googleapis.com/${schema.typeName}`,
    name,
    toBinary(schema, create(schema, message as MessageInitShape<S>)),
    owners,
  );
}

export type Encode = typeof envoyResource;

/** The same, encoded when somebody asks for its bytes or its version: who only wants to hear findings asks for neither. */
export const encodedWhenAsked: Encode = (schema, name, message, owners) => {
  let made: EnvoyResource | undefined;
  const resource = () => (made ??= envoyResource(schema, name, message, owners));
  return {
    typeUrl: `type.googleapis.com/${schema.typeName}`,
    name,
    owners,
    get version() {
      return resource().version;
    },
    get bytes() {
      return resource().bytes;
    },
  };
};

/** A resource whose bytes were put together from encoded parts. */
export function resourceOfBytes(typeUrl: TypeUrl, name: string, bytes: Uint8Array, owners: readonly ResourceKey[]): EnvoyResource {
  return { typeUrl, name, version: versionOf(bytes), bytes, owners };
}

/** The version of a resource: 16 hex digits of the SHA-256 of its bytes. */
export function versionOf(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex").slice(0, 16);
}

/** `google.protobuf.Any` around a message. What Envoy would refuse in it is noted, for {@link violationsOf} of what it is put into. */
export function packAny<S extends DescMessage>(schema: S, message: MessageInitShape<S>): Any {
  const content = create(schema, message);
  const any = create(AnySchema, { typeUrl: `type.googleapis.com/${schema.typeName}`, value: toBinary(schema, content) });
  notePacked(any, violationsOf(schema, content));
  return any;
}

/** The same map with its keys in order, so that equal maps have equal bytes. */
export function sortedMap<T>(map: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}

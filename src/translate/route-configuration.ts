// A route configuration from virtual hosts that are already encoded.
//
// One virtual host among ten thousand changes: encoding all of them again would take a tenth of a second. So their bytes are joined, in
// blocks that stay as they are when nothing in them changes, and only when somebody asks: who wants to hear findings never does, and
// a version that is replaced before it is sent has never been joined. The result is byte for byte what encoding the whole message
// gives (tested).
import { hash } from "node:crypto";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { versionOf } from "../envoy/encode.ts";
import { RouteConfigurationSchema } from "../gen/envoy/envoy/config/route/v3/route_pb.js";
import type { RouteConfigurationOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/route_configuration_options_pb.js";
import { type EnvoyResource, typeUrls } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { EncodedVirtualHost } from "./virtual-host.ts";

/** Virtual hosts as a part of a route configuration. Made when somebody asks. */
export interface HostBlock {
  readonly version: string;
  /** The fields of the message, one after the other. */
  readonly bytes: Uint8Array;
  readonly owners: readonly ResourceKey[];
  readonly usesFallback: boolean;
}

/** `hosts` in any order; those without bytes are withheld. */
export function hostBlock(hosts: readonly EncodedVirtualHost[]): HostBlock {
  const served = once(() =>
    hosts.filter((host): host is ServedHost => host.bytes !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1)),
  );
  const version = once(() => versionOfAll(served().map((host) => host.version ?? versionOf(host.bytes))));
  const bytes = once(() => joined(served().flatMap((host) => [fieldHead(host.bytes.length), host.bytes])));
  const owners = once(() => [...new Set(served().flatMap((host) => host.owners))]);
  return {
    get version() {
      return version();
    },
    get bytes() {
      return bytes();
    },
    get owners() {
      return owners();
    },
    usesFallback: hosts.some((host) => host.usesFallback),
  };
}

/** Also made from the same. */
export function sameBlock(a: HostBlock, b: HostBlock): boolean {
  return (
    a.version === b.version &&
    a.usesFallback === b.usesFallback &&
    a.owners.length === b.owners.length &&
    a.owners.every((owner, i) => owner === b.owners[i])
  );
}

/** Virtual hosts come in the order of the blocks; to Envoy it makes no difference. */
export function routeConfiguration(
  name: string,
  options: RouteConfigurationOptions | undefined,
  blocks: readonly HostBlock[],
  owner: ResourceKey,
): EnvoyResource {
  // Fields are encoded in the order of their numbers: the name (1), the virtual hosts (2), the rest.
  const head = toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { name }));
  const tail = toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, restOf(options)));
  const version = once(() => versionOfAll([versionOf(head), versionOf(tail), ...blocks.map((block) => block.version)]));
  const bytes = once(() => joined([head, ...blocks.map((block) => block.bytes), tail]));
  const owners = once(() => [...new Set([owner, ...blocks.flatMap((block) => block.owners)])]);
  return {
    typeUrl: typeUrls.route,
    name,
    get version() {
      return version();
    },
    get bytes() {
      return bytes();
    },
    get owners() {
      return owners();
    },
  };
}

type ServedHost = EncodedVirtualHost & { readonly bytes: Uint8Array };

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function restOf(options: RouteConfigurationOptions | undefined): MessageInitShape<typeof RouteConfigurationSchema> {
  return {
    ...(options?.maxDirectResponseBodySizeBytes !== undefined && {
      maxDirectResponseBodySizeBytes: options.maxDirectResponseBodySizeBytes,
    }),
    ...(options?.mostSpecificHeaderMutationsWins && { mostSpecificHeaderMutationsWins: true }),
  };
}

/** As good as a hash of all the bytes; only those that are new have been read for it. */
function versionOfAll(versions: readonly string[]): string {
  return hash("sha256", versions.join(""), "hex").slice(0, 16);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Tag of field 2, length-delimited, and the length. */
function fieldHead(length: number): Uint8Array {
  const bytes = [0x12];
  let rest = length;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

// A route configuration from virtual hosts that are already encoded.
//
// One virtual host among ten thousand changes: encoding all of them again would take a tenth of a second, joining their bytes
// takes less than one millisecond. The result is byte for byte what encoding the whole message gives (tested).
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { resourceOfBytes } from "../envoy/encode.ts";
import { RouteConfigurationSchema } from "../gen/envoy/envoy/config/route/v3/route_pb.js";
import type { RouteConfigurationOptions } from "../gen/gloo/gloo/projects/gloo/api/v1/route_configuration_options_pb.js";
import { type EnvoyResource, typeUrls } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { EncodedVirtualHost } from "./virtual-host.ts";

/** `hosts` in any order; those without bytes are withheld. */
export function routeConfiguration(
  name: string,
  options: RouteConfigurationOptions | undefined,
  hosts: readonly EncodedVirtualHost[],
  owner: ResourceKey,
): EnvoyResource {
  const served = hosts.filter((host) => host.bytes !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  // Fields are encoded in the order of their numbers: the name (1), the virtual hosts (2), the rest.
  const head = toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, { name }));
  const tail = toBinary(RouteConfigurationSchema, create(RouteConfigurationSchema, restOf(options)));
  const parts: Uint8Array[] = [head];
  for (const { bytes = empty } of served) parts.push(fieldHead(bytes.length), bytes);
  parts.push(tail);
  const owners = [owner, ...new Set(served.flatMap((host) => host.owners))];
  return resourceOfBytes(typeUrls.route, name, new Uint8Array(Buffer.concat(parts)), owners);
}

const empty = new Uint8Array();

function restOf(options: RouteConfigurationOptions | undefined): MessageInitShape<typeof RouteConfigurationSchema> {
  return {
    ...(options?.maxDirectResponseBodySizeBytes !== undefined && {
      maxDirectResponseBodySizeBytes: options.maxDirectResponseBodySizeBytes,
    }),
    ...(options?.mostSpecificHeaderMutationsWins && { mostSpecificHeaderMutationsWins: true }),
  };
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

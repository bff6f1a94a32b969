// Addresses and endpoints as Envoy wants them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AddressSchema } from "../gen/envoy/envoy/config/core/v3/address_pb.js";

type AddressInit = MessageInitShape<typeof AddressSchema>;

export function socketAddress(address: string, port: number): AddressInit {
  return { address: { case: "socketAddress", value: { address, portSpecifier: { case: "portValue", value: port } } } };
}

/** A Unix socket; a path that begins with `@` is in the abstract namespace. */
export function pipeAddress(path: string): AddressInit {
  return { address: { case: "pipe", value: { path } } };
}

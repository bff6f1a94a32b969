// grpc.health.v1: its request and its answer have one field each.

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { framed, unframed } from "../../grpc-frame.ts";

const serving = 1;

/** HealthCheckRequest{service}, framed. */
export function grpcCheckMessage(service: string): Buffer {
  return framed(service === "" ? new Uint8Array() : new BinaryWriter().tag(1, WireType.LengthDelimited).string(service).finish());
}

/** Whether a framed HealthCheckResponse says SERVING. */
export function isServing(body: Buffer): boolean {
  const message = unframed(body);
  if (message === undefined) return false;
  try {
    const reader = new BinaryReader(message);
    let status = 0;
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === 1 && wireType === WireType.Varint) status = reader.int32();
      else reader.skip(wireType, field);
    }
    return status === serving;
  } catch {
    return false;
  }
}

// grpc.health.v1: its request and its answer have one field each.

import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

const serving = 1;

/** HealthCheckRequest{service}, framed. */
export function grpcCheckMessage(service: string): Buffer {
  const message = service === "" ? new Uint8Array() : new BinaryWriter().tag(1, WireType.LengthDelimited).string(service).finish();
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}

/** Whether a framed HealthCheckResponse says SERVING. */
export function isServing(body: Buffer): boolean {
  if (body.length < 5 || body[0] !== 0 || body.length < 5 + body.readUInt32BE(1)) return false;
  try {
    const reader = new BinaryReader(body.subarray(5, 5 + body.readUInt32BE(1)));
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

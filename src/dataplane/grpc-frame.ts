// Messages of gRPC in their frames, uncompressed: a byte that says so, four with the length, the message.

const headBytes = 5;

export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(headBytes + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, headBytes);
  return frame;
}

/** The first message; undefined when it is compressed, or not all there. */
export function unframed(body: Buffer): Buffer | undefined {
  if (body.length < headBytes || body[0] !== 0) return undefined;
  const end = headBytes + body.readUInt32BE(1);
  return body.length < end ? undefined : body.subarray(headBytes, end);
}

// Frames of gRPC-Web, and their base64.

import type { BodyDecoder } from "../exchange/request-body.ts";
import type { Headers } from "../http1/headers.ts";

const frameHeadBytes = 5;
const trailersFlag = 0x80;

export function trailersFrame(trailers: Headers): Buffer {
  let text = "";
  for (let i = 0; i < trailers.length; i += 2) text += `${trailers[i]}:${trailers[i + 1]}\r\n`;
  const frame = Buffer.alloc(frameHeadBytes + text.length);
  frame[0] = trailersFlag;
  frame.writeUInt32BE(text.length, 1);
  frame.write(text, frameHeadBytes, "latin1");
  return frame;
}

/** Each whole frame in base64 of its own, as clients read them. */
export class Base64Frames {
  #rest: Buffer = Buffer.alloc(0);

  push(data: Buffer): Buffer {
    let rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    let text = "";
    while (rest.length >= frameHeadBytes) {
      const size = frameHeadBytes + rest.readUInt32BE(1);
      if (rest.length < size) break;
      text += rest.toString("base64", 0, size);
      rest = rest.subarray(size);
    }
    this.#rest = rest;
    return Buffer.from(text, "latin1");
  }
}

const notBase64 = /[^A-Za-z0-9+/=]|=[^=]|^=|={3}/;

/** A body in base64, in groups of four; several texts with their own padding may follow one another. */
export class Base64Decoder implements BodyDecoder {
  readonly fault = "Bad gRPC-web request, invalid base64 data.";
  readonly details = "grpc_base_64_decode_failed";
  #rest = "";

  push(data: Buffer): Buffer | undefined {
    const text = this.#rest + data.toString("latin1");
    const whole = text.length - (text.length % 4);
    this.#rest = text.slice(whole);
    const ready = text.slice(0, whole);
    return ready === "" || !notBase64.test(ready) ? Buffer.from(ready, "base64") : undefined;
  }

  get isWhole(): boolean {
    return this.#rest === "";
  }
}

// The proof in WebSocket's handshake that the other side understood it (RFC 6455 §4.2.2).

import { createHash } from "node:crypto";

/** Sec-WebSocket-Accept for a Sec-WebSocket-Key. */
export function acceptOf(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

// What can be told from the first bytes of a request whose head is not whole yet.

/** Whether bytes may be the beginning of a request: TLS and the like are refused at the first bytes. */
export function isPlausible(data: Buffer, at: number): boolean {
  const end = Math.min(data.length, at + 16);
  for (let i = at; i < end; i++) {
    const byte = data[i] as number;
    if (byte === 0x20) return i > at;
    if (byte === 0x0d && i === at && i + 1 === data.length) return true;
    if (!((byte >= 0x41 && byte <= 0x5a) || byte === 0x2d)) return false;
  }
  return true;
}

/** A line that ends with LF alone: the empty line that is waited for would never come. */
export function hasBareLf(data: Buffer, from: number): boolean {
  for (let at = data.indexOf(0x0a, from); at >= 0; at = data.indexOf(0x0a, at + 1)) if (data[at - 1] !== 0x0d) return true;
  return false;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** Whether bytes are what HTTP/2 begins with (RFC 9113 §3.4); "maybe": more must come to tell. */
export function isHttp2Preface(data: Buffer, at: number): boolean | "maybe" {
  const length = Math.min(preface.length, data.length - at);
  if (data.compare(preface, 0, length, at, at + length) !== 0) return false;
  return length === preface.length ? true : "maybe";
}

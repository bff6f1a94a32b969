// The first bytes of a connection, as Envoy's TLS inspector reads them: whether it is TLS, which server the client wants (SNI), what it speaks (ALPN).
// They are looked at before TLS begins, because what they say decides with which settings it begins: certificate, versions, client certificates.

/** What a filter chain is chosen by. */
export interface Hello {
  readonly isTls: boolean;
  /** In lower case; empty when the client named none. */
  readonly serverName: string;
  readonly protocols: readonly string[];
  /** Where the client is, and what it connected to. */
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly localAddress?: string;
  readonly localPort?: number;
  /** Who opened the connection, where that is not the client. */
  readonly directAddress?: string;
}

export const plainHello: Hello = { isTls: false, serverName: "", protocols: [] };

const handshakeRecord = 22;
const clientHello = 1;
const serverNameExtension = 0;
const alpnExtension = 16;

/** As Envoy: a longer one is no ClientHello. */
const longestHello = 16_384;

/** Undefined while more bytes are needed. Whatever the bytes are, it does not throw. */
export function readHello(data: Buffer): Hello | undefined {
  const message = handshakeMessage(data);
  if (message === "more") return undefined;
  if (message === "not TLS") return plainHello;
  const extensions = extensionsOf(message);
  const names = extensions?.get(serverNameExtension);
  const protocols = extensions?.get(alpnExtension);
  return {
    isTls: true,
    serverName: names === undefined ? "" : serverName(names),
    protocols: protocols === undefined ? [] : protocolNames(protocols),
  };
}

/** A ClientHello may come in several records (RFC 8446 §5.1). */
function handshakeMessage(data: Buffer): Buffer | "more" | "not TLS" {
  const parts: Buffer[] = [];
  let size = 0;
  let wanted = 4;
  for (let at = 0; size < wanted; ) {
    if (at < data.length && data[at] !== handshakeRecord) return "not TLS";
    if (at + 1 < data.length && data[at + 1] !== 3) return "not TLS";
    if (at + 5 > data.length) return "more";
    const length = data.readUInt16BE(at + 3);
    const part = data.subarray(at + 5, at + 5 + length);
    parts.push(part);
    size += part.length;
    at += 5 + length;
    if (length === 0) return "not TLS";
    if (size >= 4) {
      const start = Buffer.concat(parts);
      if (start[0] !== clientHello) return "not TLS";
      wanted = 4 + start.readUIntBE(1, 3);
      if (wanted > longestHello) return "not TLS";
    }
    if (at > data.length && size < wanted) return "more";
  }
  return Buffer.concat(parts).subarray(4, wanted);
}

/** By type; undefined for a malformed message, which the handshake itself will refuse. */
function extensionsOf(message: Buffer): Map<number, Buffer> | undefined {
  const reader = new Reader(message);
  reader.skip(2 + 32); // version, random
  reader.skip(reader.number(1)); // session
  reader.skip(reader.number(2)); // cipher suites
  reader.skip(reader.number(1)); // compression methods
  const list = new Reader(reader.bytes(reader.number(2)));
  const found = new Map<number, Buffer>();
  while (list.hasMore) {
    const type = list.number(2);
    found.set(type, list.bytes(list.number(2)));
  }
  return reader.isBroken || list.isBroken ? undefined : found;
}

/** RFC 6066 §3: a list of which only host names exist. */
function serverName(extension: Buffer): string {
  const reader = new Reader(extension);
  const list = new Reader(reader.bytes(reader.number(2)));
  const type = list.number(1);
  const name = list.bytes(list.number(2)).toString("latin1").toLowerCase();
  return list.isBroken || type !== 0 ? "" : name;
}

function protocolNames(extension: Buffer): string[] {
  const reader = new Reader(extension);
  const list = new Reader(reader.bytes(reader.number(2)));
  const names: string[] = [];
  while (list.hasMore) names.push(list.bytes(list.number(1)).toString("latin1"));
  return list.isBroken ? [] : names;
}

/** Reads numbers and bytes one after another; beyond the end it reads nothing and is broken. */
class Reader {
  isBroken = false;
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get hasMore(): boolean {
    return !this.isBroken && this.#at < this.#data.length;
  }

  number(size: number): number {
    const bytes = this.bytes(size);
    return bytes.length === size ? bytes.readUIntBE(0, size) : 0;
  }

  bytes(size: number): Buffer {
    const end = this.#at + size;
    if (end > this.#data.length) this.isBroken = true;
    const found = this.isBroken ? this.#data.subarray(0, 0) : this.#data.subarray(this.#at, end);
    this.#at = end;
    return found;
  }

  skip(size: number): void {
    this.bytes(size);
  }
}

// Takes the messages of gRPC out of a stream as it comes; ../grpc-frame.ts makes their frames.

/** What servers and clients of gRPC take by default. */
export const usualMessageBytes = 4 * 1_048_576;

const headBytes = 5;

export class MessageReader {
  readonly #onMessage: (message: Uint8Array) => void;
  readonly #mostBytes: number;
  /** Put together only when a message is whole: a large one comes in hundreds of pieces. */
  #parts: Buffer[] = [];
  #size = 0;
  /** So many bytes say more than those that are here. */
  #wanted = headBytes;

  constructor(onMessage: (message: Uint8Array) => void, mostBytes = usualMessageBytes) {
    this.#onMessage = onMessage;
    this.#mostBytes = mostBytes;
  }

  /** Throws for what is no message, and what the callback throws. */
  push(data: Buffer): void {
    this.#parts.push(data);
    this.#size += data.length;
    while (this.#size >= this.#wanted) {
      const all = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
      const length = all.readUInt32BE(1);
      if (all[0] !== 0) throw new Error("it sent a compressed message");
      if (length > this.#mostBytes) throw new Error("it sent a message that is too large");
      const end = headBytes + length;
      const isWhole = all.length >= end;
      const rest = isWhole ? all.subarray(end) : all;
      this.#parts = rest.length === 0 ? [] : [rest];
      this.#size = rest.length;
      this.#wanted = isWhole ? headBytes : end;
      if (isWhole) this.#onMessage(all.subarray(headBytes, end));
    }
  }
}

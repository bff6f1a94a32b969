// Takes the messages of gRPC out of a stream as it comes; ../grpc-frame.ts makes their frames.

const mostBytes = 4 * 1_048_576;

export class MessageReader {
  readonly #onMessage: (message: Uint8Array) => void;
  #data: Buffer = Buffer.alloc(0);

  constructor(onMessage: (message: Uint8Array) => void) {
    this.#onMessage = onMessage;
  }

  /** Throws for what is no message, and what the callback throws. */
  push(data: Buffer): void {
    this.#data = this.#data.length === 0 ? data : Buffer.concat([this.#data, data]);
    while (this.#data.length >= 5) {
      const length = this.#data.readUInt32BE(1);
      if (this.#data[0] !== 0) throw new Error("it sent a compressed message");
      if (length > mostBytes) throw new Error("it sent a message that is too large");
      if (this.#data.length < 5 + length) return;
      const message = this.#data.subarray(5, 5 + length);
      this.#data = this.#data.subarray(5 + length);
      this.#onMessage(message);
    }
  }
}

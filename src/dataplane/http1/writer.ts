// Writes messages: what one turn of the event loop has for a socket leaves in one system call.

import type { Socket } from "node:net";

// Up to here, copying into one buffer is cheaper than handing several to writev (measured in spike: 16 KiB).
const copyLimit = 16_384;

export class MessageWriter {
  readonly #socket: Socket;
  #text = "";
  #parts: Buffer[] | undefined;
  #size = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Bytes of this message that left or are about to. */
  written = 0;

  text(latin1: string): void {
    if (this.#parts === undefined) this.#text += latin1;
    else this.#push(Buffer.from(latin1, "latin1"));
  }

  data(bytes: Buffer): void {
    if (this.#parts === undefined && this.#text === "") {
      this.#parts = [bytes];
      this.#size = bytes.length;
    } else this.#push(bytes);
  }

  chunk(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.text(`${bytes.length.toString(16)}\r\n`);
    this.data(bytes);
    this.text("\r\n");
  }

  #push(bytes: Buffer): void {
    this.#parts ??= [];
    this.#parts.push(bytes);
    this.#size += bytes.length;
  }

  /** Sends what is gathered; false when the socket asks to wait for `drain`. */
  flush(): boolean {
    const text = this.#text;
    const parts = this.#parts;
    if (parts === undefined) {
      if (text === "") return true;
      this.#text = "";
      this.written += text.length;
      return this.#socket.write(text, "latin1");
    }
    const size = this.#size;
    this.#text = "";
    this.#parts = undefined;
    this.#size = 0;
    this.written += text.length + size;
    if (text === "" && parts.length === 1) return this.#socket.write(parts[0] as Buffer);
    if (size <= copyLimit) {
      const whole = Buffer.allocUnsafe(text.length + size);
      let at = text === "" ? 0 : whole.write(text, 0, "latin1");
      for (const part of parts) {
        whole.set(part, at);
        at += part.length;
      }
      return this.#socket.write(whole);
    }
    this.#socket.cork();
    if (text !== "") this.#socket.write(text, "latin1");
    let more = true;
    for (const part of parts) more = this.#socket.write(part);
    this.#socket.uncork();
    return more;
  }
}

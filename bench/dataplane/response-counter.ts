// Sees where responses of HTTP/1.1 end, when their lengths are told: no more than load needs.

export class ResponseCounter {
  readonly #onResponse: () => void;
  #left = 0;
  #head = "";

  constructor(onResponse: () => void) {
    this.#onResponse = onResponse;
  }

  read(data: Buffer): void {
    if (this.#left > 0) {
      this.#left -= data.length;
    } else {
      const text = this.#head + data.toString("latin1");
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) {
        this.#head = text;
        return;
      }
      this.#head = "";
      // Chunked ones come whole, as small as they are here.
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      this.#left = length - (text.length - end - 4);
    }
    if (this.#left > 0) return;
    this.#left = 0;
    this.#onResponse();
  }
}

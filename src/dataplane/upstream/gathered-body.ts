// The body of a response that is wanted whole, up to a limit.

export class GatheredBody {
  readonly #mostBytes: number;
  #parts: Buffer[] = [];
  #size = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** False when it is larger than the limit: what came before is kept, and nothing of what follows. */
  add(data: Buffer): boolean {
    this.#size += data.length;
    if (this.#size > this.#mostBytes) return false;
    this.#parts.push(data);
    return true;
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

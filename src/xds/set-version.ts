// The version of a set of resources: equal sets have equal versions, on any machine and in any order.
import { hash } from "node:crypto";

/** Kept up to date change by change, so that it costs nothing to read and one hash per change, however large the set is. */
export class SetVersion {
  #high = 0;
  #low = 0;

  /** Adds a member, or takes it out again: the two are the same operation. */
  toggle(name: string, version: string): void {
    const digest = hash("sha256", `${name}\0${version}`, "buffer");
    this.#high ^= digest.readInt32BE(0);
    this.#low ^= digest.readInt32BE(4);
  }

  toString(): string {
    return hex(this.#high) + hex(this.#low);
  }
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}

// Parts of a body that wait: for its head, for its end, for an answer.

import type { BodyMutation } from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";

export interface Chunk {
  readonly data: Buffer;
  readonly isEnd: boolean;
}

export class Chunks {
  #list: Chunk[] = [];
  bytes = 0;

  get isEmpty(): boolean {
    return this.#list.length === 0;
  }

  push(data: Buffer, isEnd = false): void {
    this.#list.push({ data, isEnd });
    this.bytes += data.length;
  }

  shift(): Chunk | undefined {
    const chunk = this.#list.shift();
    this.bytes -= chunk?.data.length ?? 0;
    return chunk;
  }

  takeAll(): readonly Chunk[] {
    const all = this.#list;
    this.clear();
    return all;
  }

  /** All of it as one, which stays. */
  join(isEnd = false): Buffer {
    const data = this.#list.length === 1 ? (this.#list[0] as Chunk).data : Buffer.concat(this.#list.map((each) => each.data));
    this.#list = [{ data, isEnd }];
    return data;
  }

  clear(): void {
    this.#list = [];
    this.bytes = 0;
  }
}

export function mutated(data: Buffer, mutation: BodyMutation | undefined): Buffer {
  switch (mutation?.mutation.case) {
    case "body":
      return Buffer.from(mutation.mutation.value);
    case "clearBody":
      return mutation.mutation.value ? Buffer.alloc(0) : data;
    default:
      return data;
  }
}

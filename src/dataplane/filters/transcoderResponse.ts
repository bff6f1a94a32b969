// Messages of a response as JSON.

import { fromBinary, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import type { Headers } from "../http1/headers.ts";
import type { BodySink } from "./http-filter.ts";
import { isHttpBody, type Rule, type Transcoder } from "./transcoderMethods.ts";

const headBytes = 5;

/** Takes frames as they come, in any parts. */
export class Frames {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that are whole now. Throws for a frame that cannot be read. */
  push(data: Buffer): Buffer[] {
    let rest = this.#rest.length === 0 ? data : Buffer.concat([this.#rest, data]);
    const found: Buffer[] = [];
    while (rest.length >= headBytes) {
      if (rest[0] !== 0) throw new Error("a compressed message");
      const end = headBytes + rest.readUInt32BE(1);
      if (rest.length < end) break;
      found.push(rest.subarray(headBytes, end));
      rest = rest.subarray(end);
    }
    this.#rest = rest;
    return found;
  }
}

export interface Written {
  readonly body: Buffer;
  readonly contentType: string;
}

/** One message, in JSON or as the bytes that it carries. */
export function writeMessage({ method, responseBody }: Rule, bytes: Buffer, { registry, print }: Transcoder): Written {
  const message = fromBinary(method.output, bytes);
  if (isHttpBody(method.output)) {
    const { contentType, data } = message as Message & { contentType: string; data: Uint8Array };
    return { body: Buffer.from(data), contentType };
  }
  const json = toJson(method.output, message, { registry, ...print }) as Record<string, JsonValue>;
  return { body: Buffer.from(textOf(partOf(json, method, responseBody), print.isSpaced)), contentType: "application/json" };
}

function partOf(json: Record<string, JsonValue>, { output }: Rule["method"], name: string): JsonValue {
  if (name === "") return json;
  const field = output.fields.find((each) => each.name === name);
  return json[field?.jsonName ?? name] ?? json[name] ?? null;
}

/** As Envoy writes it: one space for each level, and nothing that HTML would take for a tag. */
export function textOf(json: JsonValue, isSpaced: boolean): string {
  const text = isSpaced ? `${JSON.stringify(json, undefined, 1)}\n` : JSON.stringify(json);
  return text.replace(/[<>]/g, (char) => (char === "<" ? "\\u003c" : "\\u003e"));
}

/** Writes messages one after another, as an array unless lines or events are wanted. */
export class StreamedMessages implements BodySink {
  readonly #next: BodySink;
  readonly #rule: Rule;
  readonly #transcoder: Transcoder;
  readonly #onFault: () => void;
  readonly #frames = new Frames();
  #isFirst = true;
  #isBroken = false;

  constructor(next: BodySink, rule: Rule, transcoder: Transcoder, onFault: () => void) {
    this.#next = next;
    this.#rule = rule;
    this.#transcoder = transcoder;
    this.#onFault = onFault;
  }

  data(data: Buffer): void {
    if (this.#isBroken) return;
    try {
      for (const message of this.#frames.push(data)) this.#write(message);
    } catch {
      this.#isBroken = true;
      this.#onFault();
    }
  }

  #write(message: Buffer): void {
    const { body } = writeMessage(this.#rule, message, this.#transcoder);
    if (isHttpBody(this.#rule.method.output)) {
      this.#next.data(body);
      return;
    }
    const [before, after] = { array: [this.#isFirst ? "[" : ",", ""], lines: ["", "\n"], events: ["data: ", "\n\n"] }[
      this.#transcoder.print.stream
    ] as [string, string];
    this.#isFirst = false;
    this.#next.data(Buffer.concat([Buffer.from(before), body, Buffer.from(after)]));
  }

  flush(): boolean {
    return this.#isBroken || this.#next.flush();
  }

  end(trailers: Headers | undefined): void {
    if (this.#isBroken) return;
    if (this.#transcoder.print.stream === "array" && !isHttpBody(this.#rule.method.output))
      this.#next.data(Buffer.from(this.#isFirst ? "[]" : "]"));
    this.#next.end(trailers);
  }
}

// One span of a trace: what a request was here, or one try of it at an upstream. It is filled while the request lives and handed over when it is finished.

import { randomBytes } from "node:crypto";
import type { Tracer } from "./tracer.ts";

export interface SpanContext {
  /** Hexadecimal, of 16 or 32 digits. */
  readonly traceId: string;
  readonly id: string;
  /** Empty: it is the first of its trace. */
  readonly parentId: string;
  /** It is filled and reported. */
  readonly isSampled: boolean;
}

export class Span implements SpanContext {
  readonly tracer: Tracer;
  readonly kind: "server" | "client";
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string;
  readonly isSampled: boolean;
  /** Its parent is somebody else's. */
  readonly isContinued: boolean;
  /** `tracestate`, which goes on as it came. */
  readonly state: string;
  name: string;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  endedAt = 0;
  readonly tags = new Map<string, string>();
  readonly events: { readonly at: number; readonly name: string }[] = [];

  constructor(
    tracer: Tracer,
    kind: Span["kind"],
    name: string,
    startedAt: number,
    context: SpanContext & { readonly state?: string; readonly isContinued?: boolean },
  ) {
    this.tracer = tracer;
    this.kind = kind;
    this.name = name;
    this.startedAt = startedAt;
    this.traceId = context.traceId;
    this.id = context.id;
    this.parentId = context.parentId;
    this.isSampled = context.isSampled;
    this.isContinued = context.isContinued ?? false;
    this.state = context.state ?? "";
  }

  child(name: string, startedAt: number): Span {
    const { tracer, traceId, id: parentId, isSampled, state } = this;
    return new Span(tracer, "client", name, startedAt, { traceId, id: newId(), parentId, isSampled, state });
  }

  /** The last value counts. */
  setTag(name: string, value: string): void {
    if (this.isSampled && name !== "") this.tags.set(name, value);
  }
}

/** About how many bytes it is when it is written. */
export function sizeOf({ name, state, tags, events }: Span): number {
  let size = 200 + name.length + state.length + events.length * 60;
  for (const [tag, value] of tags) size += tag.length + value.length + 10;
  return size;
}

/** 16 hexadecimal digits. */
export function newId(): string {
  return randomBytes(8).toString("hex");
}

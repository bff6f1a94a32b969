// The contract of a tracer: how it reads and writes the context of a trace in the headers of requests, and where its spans go.

import type { Headers } from "../http1/headers.ts";
import type { Sink, Telemetry } from "../telemetry.ts";
import type { Span } from "./span.ts";

export interface Beginning {
  readonly headers: Headers;
  readonly authority: string;
  readonly startedAt: number;
  /** As the sampling of this gateway has it: where the request says nothing of it. */
  readonly isWanted: boolean;
}

/** Of spans of its own kind. */
export interface Tracer<Kind extends Span = Span> {
  /** Undefined: what the request says of its trace cannot be read. It goes on as it came, and is not traced. */
  start(beginning: Beginning): Kind | undefined;
  /** Tells an upstream whose child it is. */
  inject(span: Kind, headers: Headers): void;
  /** It has ended. What was done below it ends first. */
  report(span: Kind, telemetry: Pick<Telemetry, "add">): void;
}

/** Each span goes its way. */
export function reportTo(sink: Sink<Span>): Tracer["report"] {
  return (span, telemetry) => telemetry.add(sink, span);
}

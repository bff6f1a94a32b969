// What of a request and of its response a processor is shown.

import {
  ProcessingMode_BodySendMode as Body,
  ProcessingMode_HeaderSendMode as Head,
  type ProcessingMode,
} from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/processing_mode_pb.js";

export type BodyMode = "none" | "streamed" | "buffered" | "partial" | "duplex";

/** Of the request, or of the response. */
export interface SideMode {
  readonly headers: boolean;
  readonly body: BodyMode;
  readonly trailers: boolean;
}

export interface Modes {
  readonly request: SideMode;
  readonly response: SideMode;
  readonly message: ProcessingMode | undefined;
}

const bodies: Readonly<Partial<Record<Body, BodyMode>>> = {
  [Body.NONE]: "none",
  [Body.STREAMED]: "streamed",
  [Body.BUFFERED]: "buffered",
  [Body.BUFFERED_PARTIAL]: "partial",
  [Body.FULL_DUPLEX_STREAMED]: "duplex",
};

/** A field with a mode that is not executed. */
export function unknownMode(mode: ProcessingMode | undefined): string | undefined {
  if (mode === undefined) return undefined;
  if (bodies[mode.requestBodyMode] === undefined) return "request_body_mode";
  return bodies[mode.responseBodyMode] === undefined ? "response_body_mode" : undefined;
}

/** By default heads are shown, and trailers are not. */
export function modesOf(mode: ProcessingMode | undefined): Modes {
  return {
    request: {
      headers: mode?.requestHeaderMode !== Head.SKIP,
      body: bodies[mode?.requestBodyMode ?? Body.NONE] ?? "none",
      trailers: mode?.requestTrailerMode === Head.SEND,
    },
    response: {
      headers: mode?.responseHeaderMode !== Head.SKIP,
      body: bodies[mode?.responseBodyMode ?? Body.NONE] ?? "none",
      trailers: mode?.responseTrailerMode === Head.SEND,
    },
    message: mode,
  };
}

/** Neither requests nor responses are shown. */
export function isIdle({ request, response }: Modes): boolean {
  return [request, response].every(({ headers, body, trailers }) => !headers && body === "none" && !trailers);
}

/** What goes through a tunnel is not shown, although it should be. */
export function isTunnelHidden(upgrade: string | undefined, { request, response }: Modes): boolean {
  return upgrade !== undefined && (request.body !== "none" || response.body !== "none");
}

/** A processor does not say whether it wants the head that it has seen already. */
export function isSameOverride(a: ProcessingMode, b: ProcessingMode): boolean {
  return (
    a.responseHeaderMode === b.responseHeaderMode &&
    a.requestBodyMode === b.requestBodyMode &&
    a.responseBodyMode === b.responseBodyMode &&
    a.requestTrailerMode === b.requestTrailerMode &&
    a.responseTrailerMode === b.responseTrailerMode
  );
}

/** The length that a head tells may not be that of the body in the end. */
export function losesLength({ headers, body }: SideMode): boolean {
  return body === "streamed" || body === "partial" || body === "duplex" || (body === "buffered" && !headers);
}

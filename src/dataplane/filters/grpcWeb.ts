// gRPC-Web: browsers speak it, upstreams speak gRPC. Trailers travel as a last frame of the body, and all of it in base64 where that is asked for.

import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { GrpcWebSchema } from "../../gen/envoy/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import { grpcStatusOfHttp, isGrpc, percentEncoded } from "../exchange/grpc.ts";
import { decodeBody } from "../exchange/request-body.ts";
import { hasHeader, headerValue, setHeader } from "../http1/headers.ts";
import { Base64Decoder, Base64Frames, trailersFrame } from "./grpcWebFrames.ts";
import type { BodyChange, BodySink, FilteredResponse, FilterRun, HttpFilter, Verdict } from "./http-filter.ts";

const binaryTypes = new Set(["application/grpc-web", "application/grpc-web+proto"]);
const textTypes = new Set(["application/grpc-web-text", "application/grpc-web-text+proto"]);

export const grpcWeb: HttpFilter<object, never> = {
  configType: "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
  routeType: "",
  compile(any) {
    if (anyUnpack(any, GrpcWebSchema) === undefined) throw new Error("is no GrpcWeb");
    return {};
  },
  compileRoute: () => undefined as never,
  begin(_, __, exchange) {
    const type = headerValue(exchange.headers, "content-type") ?? "";
    return binaryTypes.has(type) || textTypes.has(type) ? new GrpcWebRun(textTypes.has(type)) : undefined;
  },
};

/** What a message of a failed answer may hold of its body, where it came in parts. */
const mostMessage = 16_384;

class GrpcWebRun implements FilterRun {
  readonly #asksText: boolean;
  #wantsText = false;

  constructor(asksText: boolean) {
    this.#asksText = asksText;
  }

  onRequest(exchange: Exchange): Verdict {
    const { headers } = exchange;
    this.#wantsText = textTypes.has(headerValue(headers, "accept") ?? "");
    // An answer of our own is one of HTTP, which onResponse makes one of gRPC-Web.
    exchange.answersAsHttp = true;
    setHeader(headers, "content-type", "application/grpc");
    setHeader(headers, "te", "trailers");
    if (!hasHeader(headers, "grpc-accept-encoding")) headers.push("grpc-accept-encoding", "identity");
    exchange.isChunked ||= exchange.contentLength > 0;
    exchange.contentLength = -1;
    if (this.#asksText) decodeBody(exchange, new Base64Decoder());
    return exchange.isDone ? "answered" : "next";
  }

  onResponse(_: Exchange, response: FilteredResponse): BodyChange | undefined {
    const { headers, hasNoBody } = response;
    const isReady = isOfGrpc(response) || isWebAlready(response);
    setHeader(headers, "content-type", this.#wantsText ? "application/grpc-web-text+proto" : "application/grpc-web+proto");
    response.contentLength = -1;
    if (hasNoBody) return undefined;
    if (!isReady) return { kind: "whole", change: (body, trailers) => failed(response, body, trailers) };
    return { kind: "passing", into: (next) => new WebBody(next, this.#wantsText) };
  }
}

function isOfGrpc({ status, headers, hasNoBody }: FilteredResponse): boolean {
  return hasNoBody ? hasHeader(headers, "grpc-status") : status === 200 && isGrpc(headers);
}

function isWebAlready({ status, headers }: FilteredResponse): boolean {
  const type = headerValue(headers, "content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  return status === 200 && type !== undefined && binaryTypes.has(type);
}

/** What is no gRPC becomes a status of it, and its body the message. */
function failed({ status, headers }: FilteredResponse, body: Buffer, trailers: string[] | undefined) {
  setHeader(headers, "grpc-status", String(grpcStatusOfHttp(status)));
  setHeader(headers, "grpc-message", percentEncoded(body.toString("latin1", 0, mostMessage)));
  return { body: Buffer.alloc(0), trailers };
}

class WebBody implements BodySink {
  readonly #next: BodySink;
  readonly #frames: Base64Frames | undefined;

  constructor(next: BodySink, isText: boolean) {
    this.#next = next;
    this.#frames = isText ? new Base64Frames() : undefined;
  }

  data(data: Buffer): void {
    const out = this.#frames === undefined ? data : this.#frames.push(data);
    if (out.length > 0) this.#next.data(out);
  }

  flush(): boolean {
    return this.#next.flush();
  }

  end(trailers: string[] | undefined): void {
    if (trailers !== undefined && trailers.length > 0) {
      const frame = trailersFrame(trailers);
      this.#next.data(this.#frames === undefined ? frame : Buffer.from(frame.toString("base64"), "latin1"));
    }
    this.#next.end(undefined);
  }
}

// gRPC for those who speak JSON: a request that a rule of the descriptors fits becomes a call, and its answer JSON. Whatever fits no rule passes as
// it is.

import { hash } from "node:crypto";
import { create, fromBinary, toJson } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { GrpcJsonTranscoderSchema } from "../../gen/envoy/envoy/extensions/filters/http/grpc_json_transcoder/v3/transcoder_pb.js";
import { type Status, StatusSchema } from "../../gen/envoy/google/rpc/status_pb.js";
import type { Findings } from "../compile/findings.ts";
import { reply } from "../exchange/answers.ts";
import type { Exchange } from "../exchange/exchange.ts";
import { httpStatusOf, isGrpc } from "../exchange/grpc.ts";
import { findRouteAgain } from "../exchange/receive.ts";
import { holdBody, replaceBody } from "../exchange/request-body.ts";
import { type Headers, hasHeader, headerValue, removeHeader, setHeader } from "../http1/headers.ts";
import type { BodyChange, ChangedBody, FilteredResponse, FilterRun, HttpFilter, Verdict } from "./http-filter.ts";
import { type Called, compileTranscoder, type Find, type Transcoder } from "./transcoderMethods.ts";
import { boundFields, RequestFault, requestFrames } from "./transcoderRequest.ts";
import { Frames, StreamedMessages, textOf, writeMessage } from "./transcoderResponse.ts";

type Compiled = Transcoder & { readonly find: Find };

/** A route may say that nothing is transcoded. */
interface OfRoute {
  readonly transcoder: Compiled | undefined;
}

export const transcoder: HttpFilter<Compiled, OfRoute> = {
  configType: GrpcJsonTranscoderSchema.typeName,
  routeType: GrpcJsonTranscoderSchema.typeName,
  compile: (any, findings) => compileOnce(any, findings),
  compileRoute: (any, findings) => ({ transcoder: compileOnce(any, findings) }),
  begin(config, [first], exchange) {
    const used = first === undefined ? config : first.transcoder;
    if (used === undefined || isGrpc(exchange.headers)) return undefined;
    const called = used.find(exchange.method, exchange.path);
    if (called !== undefined) return new TranscoderRun(used, called);
    return used.rejectsUnknownMethod ? new UnknownMethod() : undefined;
  },
};

/** Every route to an Upstream has the same descriptors, and they may be large. */
const compiled = new Map<string, Compiled | undefined>();
const mostKept = 64;

function compileOnce(any: Any, findings: Findings): Compiled | undefined {
  const key = hash("sha256", any.value, "base64");
  const known = compiled.get(key);
  if (known !== undefined) return known;
  const config = anyUnpack(any, GrpcJsonTranscoderSchema);
  if (config === undefined) throw new Error("is no GrpcJsonTranscoder");
  const reported = findings.all.length;
  const made = compileTranscoder(config, findings);
  // A file is read each time; what is reported is reported each time.
  if (config.descriptorSet.case === "protoDescriptorBin" && findings.all.length === reported) {
    if (compiled.size >= mostKept) compiled.clear();
    compiled.set(key, made);
  }
  return made;
}

class UnknownMethod implements FilterRun {
  onRequest(exchange: Exchange): Verdict {
    const path = exchange.path.split("?", 1)[0];
    return refuse(exchange, 404, `Could not resolve ${path} to a method.`, "grpc_json_transcode_failure_early{NOT_FOUND}");
  }
}

function refuse(exchange: Exchange, status: number, why: string, details: string): Verdict {
  reply(exchange, status, why, "", details);
  return "answered";
}

class TranscoderRun implements FilterRun {
  readonly #transcoder: Compiled;
  readonly #called: Called;
  #isCall = false;

  constructor(used: Compiled, called: Called) {
    this.#transcoder = used;
    this.#called = called;
  }

  onRequest(exchange: Exchange, resume: () => void): Verdict {
    let bound: ReturnType<typeof boundFields>;
    try {
      bound = boundFields(this.#called, this.#transcoder);
    } catch (error) {
      if (!(error instanceof RequestFault)) throw error;
      if (!this.#transcoder.rejectsUnknownParameters) return "next";
      return refuse(exchange, 400, error.message, "grpc_json_transcode_failure_early{INVALID_ARGUMENT}");
    }
    const contentType = headerValue(exchange.headers, "content-type") ?? "";
    this.#call(exchange);
    const send = (): Verdict => {
      try {
        const frames = requestFrames(this.#called, bound, Buffer.concat(exchange.bodyParts), contentType, this.#transcoder);
        replaceBody(exchange, frames);
        exchange.contentLength = -1;
        exchange.isChunked = true;
        return "next";
      } catch (error) {
        if (!(error instanceof RequestFault)) throw error;
        this.#isCall = false;
        return refuse(exchange, 400, error.message, "grpc_json_transcode_failure{INVALID_ARGUMENT}");
      }
    };
    const whenWhole = () => {
      if (send() === "next") resume();
    };
    return holdBody(exchange, whenWhole, this.#transcoder.bodyLimit) ? send() : "wait";
  }

  /** From here on it is a call; our own answers are still for a client of HTTP. */
  #call(exchange: Exchange): void {
    const { headers } = exchange;
    const { method } = this.#called.rule;
    this.#isCall = true;
    exchange.answersAsHttp = true;
    removeHeader(headers, "content-length");
    setHeader(headers, "content-type", "application/grpc");
    setHeader(headers, "te", "trailers");
    setHeader(headers, "x-envoy-original-path", exchange.path);
    setHeader(headers, "x-envoy-original-method", exchange.method);
    exchange.path = `/${method.parent.typeName}/${method.name}`;
    exchange.method = "POST";
    if (!this.#transcoder.keepsRoute) findRouteAgain(exchange);
  }

  onResponse(exchange: Exchange, response: FilteredResponse): BodyChange | undefined {
    if (!this.#isCall || !isOfGrpc(response)) return undefined;
    const { rule } = this.#called;
    const isStream = rule.method.methodKind === "server_streaming" || rule.method.methodKind === "bidi_streaming";
    const { headers } = response;
    if (response.hasNoBody) return this.#trailersOnly(response);
    setHeader(headers, "content-type", contentTypeOfStream(this.#transcoder.print.stream, isStream));
    if (!isStream) return { kind: "whole", change: (body, trailers) => this.#unary(response, body, trailers ?? []) };
    response.contentLength = -1;
    return { kind: "passing", into: (next) => new StreamedMessages(next, rule, this.#transcoder, () => breakOff(exchange)) };
  }

  #unary(response: FilteredResponse, body: Buffer, trailers: Headers): ChangedBody {
    const { headers } = response;
    const status = headerValue(trailers, "grpc-status");
    let written: Buffer = Buffer.alloc(0);
    try {
      // One is the answer; what comes behind it is nobody's.
      const [message] = new Frames().push(body);
      if (message !== undefined) {
        const { body: text, contentType } = writeMessage(this.#called.rule, message, this.#transcoder);
        written = text;
        setHeader(headers, "content-type", contentType);
      }
    } catch (error) {
      response.status = 502;
      // It is an answer of our own: nothing of the upstream's is left.
      headers.splice(0, headers.length, "content-type", "text/plain");
      return { body: Buffer.from((error as Error).message), trailers: undefined };
    }
    response.status = status === undefined ? 503 : httpStatusOf(status);
    if (status !== undefined) setHeader(headers, "grpc-status", status);
    const message = headerValue(trailers, "grpc-message");
    if (message !== undefined) setHeader(headers, "grpc-message", message);
    const converted = written.length > 0 ? undefined : this.#convertedStatus(trailers);
    if (converted === undefined) return { body: written, trailers };
    setHeader(headers, "content-type", "application/json");
    for (const name of statusHeaders) for (const told of [headers, trailers]) removeHeader(told, name);
    return { body: converted, trailers };
  }

  #trailersOnly(response: FilteredResponse): BodyChange | undefined {
    const { headers } = response;
    response.status = httpStatusOf(headerValue(headers, "grpc-status") ?? "");
    const converted = this.#convertedStatus(headers);
    if (converted === undefined || response.isBare) return undefined;
    setHeader(headers, "content-type", "application/json");
    for (const name of statusHeaders) removeHeader(headers, name);
    response.hasNoBody = false;
    return { kind: "whole", change: () => ({ body: converted, trailers: undefined }) };
  }

  /** What went wrong, as JSON, where that is wanted. */
  #convertedStatus(headers: Headers): Buffer | undefined {
    const { convertsStatus, registry, print } = this.#transcoder;
    const code = Number(headerValue(headers, "grpc-status") ?? Number.NaN);
    if (!convertsStatus || Number.isNaN(code) || code === 0) return undefined;
    try {
      return Buffer.from(textOf(toJson(StatusSchema, statusOf(headers, code), { registry, ...print }), print.isSpaced));
    } catch {
      return undefined; // details of a type that nobody described
    }
  }
}

/** What JSON says instead. */
const statusHeaders = ["grpc-status", "grpc-message", "grpc-status-details-bin"];

/** In the middle of a response: the client must see that it is not whole. */
function breakOff(exchange: Exchange): void {
  exchange.dropUpstream();
  exchange.responseDetails = "grpc_json_transcode_failure";
  exchange.closesAfter = true;
  exchange.client.abort();
  exchange.end();
}

function contentTypeOfStream(kind: string, isStream: boolean): string {
  return isStream && kind === "events" ? "text/event-stream" : "application/json";
}

function isOfGrpc({ status, headers, hasNoBody }: FilteredResponse): boolean {
  return hasNoBody ? hasHeader(headers, "grpc-status") : status === 200 && isGrpc(headers);
}

function statusOf(headers: Headers, code: number): Status {
  const details = headerValue(headers, "grpc-status-details-bin");
  if (details !== undefined) return fromBinary(StatusSchema, Buffer.from(details, "base64"));
  const message = (headerValue(headers, "grpc-message") ?? "").replace(/%[0-9a-fA-F]{2}/g, (escaped) =>
    String.fromCharCode(Number.parseInt(escaped.slice(1), 16)),
  );
  return create(StatusSchema, { code, message: Buffer.from(message, "latin1").toString("utf8") });
}

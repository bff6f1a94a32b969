// An external processor for tests: it keeps what it was told, and answers each kind of message as a script says, which the request that it is about
// carries itself (x-script) or the call (initial metadata).

import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { fromBinary, fromJson, type JsonObject, toBinary, toJson } from "@bufbuild/protobuf";
import {
  type ProcessingRequest,
  ProcessingRequestSchema,
  ProcessingResponseSchema,
} from "../../gen/envoy/envoy/service/ext_proc/v3/external_processor_pb.js";
import { framed } from "../grpc-frame.ts";
import { MessageReader } from "../sds/message-reader.ts";

/** A message, a status of gRPC (0 ends the call in peace), or nothing at all; a list: one after the other. */
export type Said = JsonObject | number | null;

/** By the kind of message: `requestHeaders`, `responseBody`. What is not in it is answered with what changes nothing. */
export type Script = Readonly<Record<string, Said | readonly Said[]>>;

export const scripted = (script: Script): string => `X-Script: ${Buffer.from(JSON.stringify(script)).toString("base64")}`;

export interface Told {
  /** Of the call: in the first message only. */
  readonly call?: IncomingHttpHeaders;
  readonly message: ProcessingRequest;
}

export interface Processor extends AsyncDisposable {
  readonly port: number;
  /** Calls that are not over. */
  readonly open: () => number;
  /** What it was told since the last time somebody looked. */
  take(): Told[];
  /** What it says is nothing that can be read. */
  garbles: boolean;
  /** Instead of what scripts say: what is too large for them. */
  says: Script;
}

export async function startProcessor(): Promise<Processor> {
  let told: Told[] = [];
  const sessions = new Set<{ destroy(): void }>();
  const calls = new Set<ServerHttp2Stream>();
  const server = createServer();
  server.on("session", (session) => sessions.add(session));
  server.on("stream", (stream, headers) => {
    let script = scriptOf(headers["x-script"] as string | undefined) ?? {};
    let isFirst = true;
    calls.add(stream);
    stream.on("error", () => undefined);
    stream.on("close", () => calls.delete(stream));
    stream.on("end", () => finish(stream, 0));
    const reader = new MessageReader((bytes) => {
      const message = fromBinary(ProcessingRequestSchema, bytes);
      told.push({ ...(isFirst && { call: headers }), message });
      isFirst = false;
      const { request } = message;
      if (request.case === "requestHeaders") {
        const header = request.value.headers?.headers.find(({ key }) => key === "x-script");
        script = scriptOf(header && Buffer.from(header.rawValue).toString()) ?? script;
      }
      if (processor.garbles) say(stream, Buffer.from([0xff, 0xff]));
      else if (!message.observabilityMode) answer(stream, request.case ?? "", { ...script, ...processor.says });
    }, mostBytes);
    stream.on("data", (data: Buffer) => reader.push(data));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const processor: Processor = {
    port: (server.address() as AddressInfo).port,
    open: () => calls.size,
    garbles: false,
    says: {},
    take() {
      const taken = told;
      told = [];
      return taken;
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, "close");
    },
  };
  return processor;
}

function scriptOf(text: string | undefined): Record<string, Said | Said[]> | undefined {
  return text === undefined ? undefined : (JSON.parse(Buffer.from(text, "base64").toString()) as Record<string, Said | Said[]>);
}

/** Larger than what tests send. */
const mostBytes = 64 * 1_048_576;

const header = (name: string) => (name.endsWith("Trailers") ? {} : { response: {} });

function answer(stream: ServerHttp2Stream, name: string, script: Script): void {
  const said = Object.hasOwn(script, name) ? (script[name] as Said | readonly Said[]) : { [name]: header(name) };
  for (const each of Array.isArray(said) ? (said as readonly Said[]) : [said as Said]) {
    if (each === null || stream.destroyed || stream.writableEnded) continue;
    if (typeof each === "number") finish(stream, each);
    else say(stream, toBinary(ProcessingResponseSchema, fromJson(ProcessingResponseSchema, each)));
  }
}

function say(stream: ServerHttp2Stream, message: Uint8Array): void {
  if (!stream.headersSent) begin(stream, 0);
  stream.write(framed(message));
}

const head = { ":status": 200, "content-type": "application/grpc" };

function begin(stream: ServerHttp2Stream, status: number): void {
  stream.respond(head, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(status) }));
}

function finish(stream: ServerHttp2Stream, status: number): void {
  if (stream.destroyed || stream.writableEnded) return;
  if (!stream.headersSent) {
    stream.respond({ ...head, "grpc-status": String(status) }, { endStream: true });
    return;
  }
  // What was to be said when it began was that all is well.
  stream.removeAllListeners("wantTrailers");
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(status) }));
  stream.end();
}

/** As text that can be compared. Order of headers counts for nobody. */
export function shownMessage({ message, call }: Told, hidden: (name: string) => boolean): JsonObject {
  const json = toJson(ProcessingRequestSchema, message) as Record<string, never>;
  const text = JSON.stringify(json, (key, value: unknown) => {
    if (key === "headers" && Array.isArray(value)) return shownHeaders(value as { key: string; rawValue?: string }[], hidden);
    return key === "body" ? Buffer.from(String(value), "base64").toString("latin1") : value;
  });
  return { ...(call && { call: callOf(call) }), ...(JSON.parse(text) as JsonObject) };
}

function shownHeaders(
  list: readonly { readonly key: string; readonly rawValue?: string; readonly value?: string }[],
  hidden: (name: string) => boolean,
) {
  return list
    .map(
      ({ key, rawValue = "", value }) =>
        `${key}: ${hidden(key) ? "(varies)" : Buffer.from(rawValue, "base64").toString("latin1")}${value ?? ""}`,
    )
    .sort();
}

function callOf(call: IncomingHttpHeaders): JsonObject {
  const { "x-forwarded-for": _, "x-request-id": __, ...rest } = call;
  return JSON.parse(JSON.stringify(rest)) as JsonObject;
}

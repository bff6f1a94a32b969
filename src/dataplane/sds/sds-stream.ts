// One secret of an SDS server: a stream that says it, and says it again when it changes. It begins anew when it ends.

import { validateHeaderValue } from "node:http";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, IncomingHttpStatusHeader } from "node:http2";
import { connect } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { DiscoveryRequestSchema, DiscoveryResponseSchema } from "../../gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import { typeUrls } from "../../model/envoy-resource.ts";
import type { SdsServer, SecretSource } from "../compile/secret-source.ts";
import { readFile } from "../compile/tls-sources.ts";
import { framed } from "../grpc-frame.ts";
import { nodeHttp2 } from "../http2/node-http2.ts";
import { MessageReader } from "./message-reader.ts";

export interface SdsListener {
  /** Returns why it cannot be used. */
  onSecret(bytes: Uint8Array): string | undefined;
  /** The server cannot be asked, or does not answer; it is asked again. */
  onTrouble(why: string): void;
}

const firstRetryMs = 200;
const lastRetryMs = 10_000;
const path = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

export class SdsStream {
  readonly #source: SecretSource;
  readonly #node: string;
  readonly #listener: SdsListener;
  readonly #patienceMs: number;
  #session: ClientHttp2Session | undefined;
  #retry: NodeJS.Timeout | undefined;
  #silence: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  /** Of what was taken on this stream; without one, a server says all it has. */
  #version = "";
  #isClosed = false;

  /**
   * @param node the role that we ask in, as an Envoy would
   * @param patienceMs how long a server may say nothing before that is a trouble
   */
  constructor(source: SecretSource, node: string, listener: SdsListener, patienceMs = 5_000) {
    this.#source = source;
    this.#node = node;
    this.#listener = listener;
    this.#patienceMs = patienceMs;
  }

  start(): void {
    this.#retry = undefined;
    this.#version = "";
    try {
      this.#open();
    } catch (error) {
      // A file that cannot be read, a header that HTTP does not have.
      this.#session?.destroy();
      this.#session = undefined;
      this.#onEnd((error as Error).message);
    }
  }

  #open(): void {
    const token = tokenOf(this.#source.server);
    let why: string | undefined;
    const end = (reason: string) => {
      if (this.#session !== session) return;
      this.#session = undefined;
      session.destroy();
      this.#onEnd(why ?? reason);
    };
    const onError = (error: NodeJS.ErrnoException) => {
      why ??= error.code ?? error.message;
    };
    const { dial } = this.#source.server;
    const socket = connect({ ...dial, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
    socket.on("error", onError);
    const session = nodeHttp2().connect("http://sds", { createConnection: () => socket, settings: { enablePush: false } });
    this.#session = session;
    session.on("error", onError);
    session.on("goaway", () => end("it is going away"));
    session.on("close", () => end("the connection ended"));
    const stream = session.request({ ...requestHead(this.#source.server), ...token });
    const reader = new MessageReader((message) => {
      clearTimeout(this.#silence);
      const { nonce, error } = this.#onMessage(message);
      this.#send(stream, { responseNonce: nonce, ...(error !== undefined && { errorDetail: { code: 3, message: error } }) });
    });
    stream.on("data", (data: Buffer) => {
      try {
        reader.push(data);
      } catch (error) {
        end((error as Error).message);
      }
    });
    const onStatus = (headers: IncomingHttpHeaders & IncomingHttpStatusHeader) => {
      why ??= faultOf(headers);
    };
    stream.on("response", onStatus);
    stream.on("trailers", onStatus);
    stream.on("error", onError);
    stream.on("close", () => end("the stream ended"));
    this.#silence = setTimeout(() => this.#listener.onTrouble("it has said nothing yet"), this.#patienceMs);
    this.#silence.unref();
    this.#send(stream, { node: { id: this.#node, cluster: "gateway", metadata: { role: this.#node } } });
  }

  #send(stream: ClientHttp2Stream, request: MessageInitShape<typeof DiscoveryRequestSchema>): void {
    const resourceNames = [this.#source.name];
    const message = create(DiscoveryRequestSchema, { typeUrl: typeUrls.secret, resourceNames, versionInfo: this.#version, ...request });
    stream.write(framed(toBinary(DiscoveryRequestSchema, message)));
  }

  #onMessage(message: Uint8Array): { readonly nonce: string; readonly error: string | undefined } {
    const { resources, versionInfo, nonce } = fromBinary(DiscoveryResponseSchema, message);
    const secret = resources.find(({ typeUrl }) => typeUrl === typeUrls.secret);
    const error = secret === undefined ? `there is no secret ${this.#source.name} in it` : this.#listener.onSecret(secret.value);
    if (error === undefined) {
      this.#version = versionInfo;
      this.#retryMs = firstRetryMs;
    }
    return { nonce, error };
  }

  #onEnd(why: string): void {
    clearTimeout(this.#silence);
    if (this.#isClosed) return;
    this.#listener.onTrouble(why);
    this.#retry = setTimeout(() => this.start(), this.#retryMs * (0.5 + Math.random() / 2));
    this.#retry.unref();
    this.#retryMs = Math.min(lastRetryMs, this.#retryMs * 2);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    clearTimeout(this.#silence);
    this.#session?.destroy();
    this.#session = undefined;
  }
}

function requestHead({ dial, target }: SdsServer): Record<string, string> {
  const authority = "path" in dial ? "localhost" : target.replace(/^.*\//, "");
  return { ":method": "POST", ":path": path, ":authority": authority, "content-type": "application/grpc", te: "trailers" };
}

/** Read each time: tokens are renewed. */
function tokenOf({ token }: SdsServer): Record<string, string> {
  if (token === undefined) return {};
  const value = token.prefix + readFile(token.file).toString("latin1").trim();
  validateHeaderValue(token.header, value);
  return { [token.header]: value };
}

function faultOf({ ":status": http, "grpc-status": grpc, "grpc-message": message }: IncomingHttpHeaders & IncomingHttpStatusHeader) {
  if (grpc !== undefined && grpc !== "0") return `gRPC status ${grpc}${message ? `: ${message}` : ""}`;
  return http === undefined || http === 200 ? undefined : `HTTP status ${http}`;
}

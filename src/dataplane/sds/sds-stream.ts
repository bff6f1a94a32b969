// One secret of an SDS server: a stream that says it, and says it again when it changes. It begins anew when it ends.

import { readFileSync } from "node:fs";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { DiscoveryRequestSchema, DiscoveryResponseSchema } from "../../gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import { typeUrls } from "../../model/envoy-resource.ts";
import type { SdsServer, SecretSource } from "../compile/secret-source.ts";
import { framed } from "../grpc-frame.ts";
import { nodeHttp2 } from "../http2/node-http2.ts";
import { MessageReader } from "./message-reader.ts";

export interface SdsListener {
  /** Returns why it cannot be used. */
  onSecret(bytes: Uint8Array): string | undefined;
  onEnd(why: string): void;
}

const firstRetryMs = 200;
const lastRetryMs = 10_000;
const path = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";

export class SdsStream {
  readonly #source: SecretSource;
  readonly #node: string;
  readonly #listener: SdsListener;
  #session: ClientHttp2Session | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = firstRetryMs;
  #version = "";
  #isClosed = false;

  /** @param node the role that we ask in, as an Envoy would */
  constructor(source: SecretSource, node: string, listener: SdsListener) {
    this.#source = source;
    this.#node = node;
    this.#listener = listener;
  }

  start(): void {
    this.#retry = undefined;
    let headers: Record<string, string>;
    try {
      headers = tokenOf(this.#source.server);
    } catch (error) {
      this.#onEnd((error as Error).message);
      return;
    }
    const { dial, target } = this.#source.server;
    let why: string | undefined;
    const socket = connect({ ...dial, noDelay: true, keepAlive: true, keepAliveInitialDelay: 30_000 });
    socket.on("error", (error: NodeJS.ErrnoException) => {
      why = error.code ?? error.message;
    });
    const session = nodeHttp2().connect("http://sds", { createConnection: () => socket, settings: { enablePush: false } });
    this.#session = session;
    const authority = "path" in dial ? "localhost" : target.replace(/^.*\//, "");
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      ":authority": authority,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    const send = (request: MessageInitShape<typeof DiscoveryRequestSchema>) => {
      const { name } = this.#source;
      const message = create(DiscoveryRequestSchema, {
        typeUrl: typeUrls.secret,
        resourceNames: [name],
        versionInfo: this.#version,
        ...request,
      });
      stream.write(framed(toBinary(DiscoveryRequestSchema, message)));
    };
    const reader = new MessageReader((message) => {
      const { nonce, error } = this.#onMessage(message);
      send({ responseNonce: nonce, ...(error !== undefined && { errorDetail: { code: 3, message: error } }) });
    });
    const end = (reason: string) => {
      if (this.#session !== session) return;
      this.#session = undefined;
      session.destroy();
      this.#onEnd(reason);
    };
    stream.on("data", (data: Buffer) => {
      try {
        reader.push(data);
      } catch (error) {
        end((error as Error).message);
      }
    });
    const onStatus = (headers: Record<string, unknown>) => {
      const status = headers["grpc-status"];
      if (status !== undefined && status !== "0")
        why = `gRPC status ${status}${headers["grpc-message"] ? `: ${headers["grpc-message"]}` : ""}`;
      else if (headers[":status"] !== undefined && headers[":status"] !== 200) why = `HTTP status ${headers[":status"]}`;
    };
    stream.on("response", onStatus);
    stream.on("trailers", onStatus);
    for (const emitter of [session, stream])
      emitter.on("error", (error: NodeJS.ErrnoException) => {
        why ??= error.code ?? error.message;
      });
    session.on("goaway", () => end("it is going away"));
    stream.on("close", () => end(why ?? "the stream ended"));
    session.on("close", () => end(why ?? "the connection ended"));
    send({ node: { id: this.#node, cluster: "gateway", metadata: { role: this.#node } } });
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
    if (this.#isClosed) return;
    this.#listener.onEnd(why);
    this.#retry = setTimeout(() => this.start(), this.#retryMs * (0.5 + Math.random() / 2));
    this.#retry.unref();
    this.#retryMs = Math.min(lastRetryMs, this.#retryMs * 2);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#session?.destroy();
    this.#session = undefined;
  }
}

/** Read each time: tokens are renewed. */
function tokenOf({ token }: SdsServer): Record<string, string> {
  if (token === undefined) return {};
  try {
    return { [token.header]: `${token.prefix}${readFileSync(token.file, "utf8").trim()}` };
  } catch (error) {
    throw new Error(`cannot read ${token.file}: ${(error as NodeJS.ErrnoException).code}`);
  }
}

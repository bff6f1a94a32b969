// xDS over gRPC: the only file that knows grpc-js. Messages pass through as the bytes they are.

import { setTimeout as delay } from "node:timers/promises";
import type { PeerCertificate } from "node:tls";
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  setLogVerbosity,
  status,
} from "@grpc/grpc-js";
import type { Logger } from "../plugin/upstream-type.ts";
import { type BoundAddress, formatAddress, type ListenAddress, type ListenSecurity, removeStaleSocket, restrictSocket } from "./address.ts";
import type { Peer, XdsHub } from "./hub.ts";
import { type XdsMethod, xdsMethods } from "./services.ts";
import type { EndReason, XdsStream } from "./stream.ts";
import type { Variant } from "./wire.ts";

/** One call, as authentication sees it. */
export interface CallIdentity {
  readonly method: string;
  readonly address: string;
  /** First value of a request header, in lower case. */
  header(name: string): string | undefined;
  /** Of a client that showed one, when TLS asks for it. */
  readonly certificate: PeerCertificate | undefined;
}

/** Lets a caller in, perhaps only as Envoy of some Proxies; undefined turns it away. */
export type Authenticate = (call: CallIdentity) => Pick<Peer, "mayBe"> | undefined;

export interface GrpcSettings {
  readonly authenticate: Authenticate | undefined;
  readonly maxRequestBytes: number;
  readonly requestsPerSecond: number;
  readonly keepaliveMs: number;
  readonly drainMs: number;
  readonly log: Logger;
}

type Duplex = ServerDuplexStream<Buffer, Buffer>;

/** Envoy answers no ping while it takes in a large set of clusters: 100,000 of them are 30 to 45 s. */
const keepaliveTimeoutMs = 60_000;

const asIs = (bytes: Buffer) => bytes;

export class GrpcDoor {
  readonly #hub: XdsHub;
  readonly #settings: GrpcSettings;
  readonly #server: Server;
  #isClosing = false;

  constructor(hub: XdsHub, settings: GrpcSettings) {
    this.#hub = hub;
    this.#settings = settings;
    setLogVerbosity(logVerbosity.NONE); // it writes to stderr what we report ourselves
    this.#server = new Server({
      "grpc.max_receive_message_length": settings.maxRequestBytes,
      "grpc.max_send_message_length": -1,
      "grpc.keepalive_time_ms": settings.keepaliveMs,
      "grpc.keepalive_timeout_ms": keepaliveTimeoutMs,
      "grpc.enable_channelz": 0,
    });
    for (const method of xdsMethods) this.#register(method);
  }

  async listen(address: ListenAddress, security: ListenSecurity): Promise<BoundAddress> {
    if ("path" in address) await removeStaleSocket(address.path);
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(formatAddress(address), credentials(security), (error, bound) =>
        error ? reject(cannotListen(address, error)) : resolve(bound),
      );
    });
    if (!("path" in address)) return { host: address.host, port };
    await restrictSocket(address.path, address.mode);
    return address;
  }

  /** Ends the streams, spread over the drain time, then the connections. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const { drainMs } = this.#settings;
    await Promise.all(
      [...this.#hub.streams].map(async (stream) => {
        if (drainMs > 0) await delay(Math.random() * drainMs);
        stream.end("UNAVAILABLE", "the server is stopping");
      }),
    );
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => this.#server.forceShutdown(), 500);
      this.#server.tryShutdown(() => {
        clearTimeout(force);
        resolve();
      });
    });
  }

  #register({ path, variant, typeUrl }: XdsMethod): void {
    const common = { path, requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };
    const isStream = variant !== undefined;
    const definition: ServiceDefinition = { method: { ...common, requestStream: isStream, responseStream: isStream } };
    this.#server.addService(definition, {
      method: isStream
        ? (call: Duplex) => this.#stream(call, path, variant, typeUrl)
        : (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => this.#unary(call, path, answer),
    });
  }

  #unary(call: ServerUnaryCall<Buffer, Buffer>, path: string, answer: sendUnaryData<Buffer>): void {
    const isKnown = this.#admit(call, path) !== undefined;
    answer(
      isKnown
        ? { code: status.UNIMPLEMENTED, details: "Fetch is not served: use the Delta or Stream method of this service" }
        : { code: status.UNAUTHENTICATED, details: "no valid credentials" },
    );
  }

  #stream(call: Duplex, path: string, variant: Variant, typeUrl: XdsMethod["typeUrl"]): void {
    call.on("error", () => {}); // a status that we sent, or a peer that went: "close" or "cancelled" follows
    const peer = this.#admit(call, path);
    if (peer === undefined) {
      refuse(call, status.UNAUTHENTICATED, "no valid credentials");
      return;
    }
    if (this.#isClosing) {
      refuse(call, status.UNAVAILABLE, "the server is stopping");
      return;
    }
    const stream = this.#hub.open(peer, carrierOf(call), variant, typeUrl);
    const close = () => this.#hub.close(stream);
    const pace = new Pace(this.#settings.requestsPerSecond);
    call.on("data", (bytes: Buffer) => {
      this.#receive(stream, bytes);
      const waitMs = pace.take(performance.now());
      if (waitMs > 0) {
        call.pause();
        setTimeout(() => call.resume(), waitMs).unref();
      }
    });
    call.on("end", () => {
      close();
      call.end();
    });
    call.on("cancelled", close);
    call.on("close", close);
    call.on("error", close);
  }

  /** A fault of ours costs the stream, not the process: the client comes back to a clean start. */
  #receive(stream: XdsStream, bytes: Buffer): void {
    try {
      stream.receive(bytes);
    } catch (cause) {
      this.#settings.log.error({ err: cause }, "a discovery request could not be handled");
      stream.end("UNAVAILABLE", "internal error; the log of the server has it");
    }
  }

  #admit(call: Duplex | ServerUnaryCall<Buffer, Buffer>, method: string): Peer | undefined {
    const address = call.getPeer();
    const { authenticate } = this.#settings;
    if (authenticate === undefined) return { address };
    try {
      const admitted = authenticate({
        method,
        address,
        header: (name) => call.metadata.get(name)[0]?.toString(),
        certificate: call.getAuthContext().sslPeerCertificate,
      });
      return admitted && { address, ...admitted };
    } catch (cause) {
      this.#settings.log.error({ err: cause, address }, "authentication failed to decide; the caller is turned away");
      return undefined;
    }
  }
}

function cannotListen(address: ListenAddress, cause: Error): Error {
  return new Error(`xDS cannot listen on ${formatAddress(address)}: ${cause.message}`, { cause });
}

function credentials({ tls }: ListenSecurity): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) };
  const clientCa = tls.clientCa === undefined ? null : Buffer.from(tls.clientCa);
  return ServerCredentials.createSsl(clientCa, [pair], clientCa !== null);
}

function carrierOf(call: Duplex) {
  return {
    send(message: Buffer, left: () => void): void {
      call.write(message, left);
    },
    end(reason: EndReason, message: string): void {
      refuse(call, status[reason], message);
    },
  };
}

function refuse(call: Duplex, code: status, details: string): void {
  call.emit("error", { code, details });
}

/** A bucket of turns: lets bursts through and holds a long flood to the rate. */
class Pace {
  readonly #perMs: number;
  readonly #most: number;
  #turns: number;
  #last = performance.now();

  constructor(perSecond: number) {
    this.#perMs = perSecond / 1000;
    this.#most = perSecond * 10;
    this.#turns = this.#most;
  }

  /** Takes a turn; answers how long to wait before the next. */
  take(now: number): number {
    this.#turns = Math.min(this.#most, this.#turns + (now - this.#last) * this.#perMs) - 1;
    this.#last = now;
    return this.#turns >= 0 ? 0 : Math.ceil(-this.#turns / this.#perMs);
  }
}

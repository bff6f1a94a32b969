// A client of delta ADS: gets listeners and clusters, asks for what they refer to, and hands all of it on, in an order in which nothing refers to
// what is not there. It comes back when the server does, and what it has given stays in force meanwhile.
//
// This file keeps the stream; intake.ts decides what is asked for and what may come into force. They leave to others what the resources mean, and keep
// nothing on disk.
import { setTimeout as delay } from "node:timers/promises";
import type { ListenAddress } from "../lib/listen-address.ts";
import type { EnvoyResource, TypeUrl } from "../model/envoy-resource.ts";
import { BackOff } from "./back-off.ts";
import { Intake, type IntakeOptions, type IntakeState } from "./intake.ts";
import { type AdsStream, type ClientSecurity, openStream, type StreamEnd } from "./stream.ts";
import { type DeltaRequest, decodeResponse, encodeRequest, type NodeIdentity } from "./wire.ts";

export interface AdsClientOptions extends Omit<IntakeOptions, "send"> {
  readonly address: ListenAddress;
  /** Read anew for each connection, since certificates are renewed. */
  readonly security: () => ClientSecurity | undefined;
  readonly node: NodeIdentity;
  /** From 0 to 1, for the time until the next attempt. */
  readonly random?: () => number;
}

export interface AdsClientState extends IntakeState {
  readonly isConnected: boolean;
  readonly reconnects: number;
}

const tickMs = 250;
/** A stream that lasted so long was a success. A server that takes streams and ends them at once is not asked as if it had just come. */
const steadyMs = 10_000;

export class AdsClient implements AsyncDisposable {
  readonly #options: AdsClientOptions;
  readonly #intake: Intake;
  readonly #stopped = new AbortController();
  readonly #backOff: BackOff;
  /** It is open, or is being opened. */
  #stream: AdsStream | undefined;
  /** The stream that has begun: what is said goes there. What is found out after its end goes nowhere, since its nonces mean nothing to the next. */
  #begun: { readonly stream: AdsStream; hasSaidNode: boolean } | undefined;
  /** The server serves the stream, whether it has something to say or not. */
  #isConnected = false;
  #connections = 0;
  #openedAt = Number.POSITIVE_INFINITY;
  /** Why there is no connection; empty when there is, or none was tried. */
  #failure = "";
  /** One thing after another: each waits until the one before is in force. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: AdsClientOptions) {
    this.#options = options;
    this.#backOff = new BackOff(options.random);
    this.#intake = new Intake({ ...options, send: (request) => this.#send(request) });
  }

  /** Resolves when the first configuration is whole and in force. */
  get ready(): Promise<void> {
    return this.#intake.ready;
  }

  state(): AdsClientState {
    return { isConnected: this.#isConnected, reconnects: Math.max(0, this.#connections - 1), ...this.#intake.state() };
  }

  /** Of listeners or clusters, those in force. */
  inForce(typeUrl: TypeUrl): readonly EnvoyResource[] {
    return this.#intake.inForce(typeUrl);
  }

  /** Connects, and connects again, until it is disposed. */
  async run(): Promise<void> {
    const { signal } = this.#stopped;
    const timer = setInterval(() => this.#tick(), tickMs);
    try {
      while (!signal.aborted) {
        const end = await this.#connect();
        if (signal.aborted) return;
        if (performance.now() - this.#openedAt >= steadyMs) this.#backOff.reset();
        this.#openedAt = Number.POSITIVE_INFINITY;
        this.#onLost(`${end.status}: ${end.details}`);
        await delay(this.#backOff.nextMs(), undefined, { signal }).catch(() => {});
      }
    } finally {
      clearInterval(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#stream?.close();
    await this.#work;
  }

  async #connect(): Promise<StreamEnd> {
    let stream: AdsStream;
    try {
      stream = openStream(this.#options.address, this.#options.security(), {
        onOpen: () => this.#onConnected(),
        // What is left of an earlier stream is sent again by the next, which was told that we do not have it.
        onMessage: (message) =>
          this.#do(async () => {
            if (stream === this.#begun?.stream) await this.#intake.receive(decodeResponse(message));
          }),
      });
    } catch (error) {
      return { status: "INVALID_ARGUMENT", details: (error as Error).message };
    }
    this.#stream = stream;
    this.#do(async () => {
      if (stream !== this.#stream) return;
      this.#begun = { stream, hasSaidNode: false };
      this.#intake.begin();
    });
    const end = await stream.ended;
    this.#stream = undefined;
    this.#begun = undefined;
    this.#isConnected = false;
    return end;
  }

  #onConnected(): void {
    this.#isConnected = true;
    this.#connections++;
    this.#openedAt = performance.now();
    if (this.#failure !== "") this.#options.log.info({}, "the xDS server is there again");
    this.#failure = "";
  }

  /** Said once for as long as the reason is the same. */
  #onLost(cause: string): void {
    const reason = steady(cause);
    if (reason === this.#failure) return;
    this.#failure = reason;
    const consequence = this.#intake.state().isReady ? "; what it sent is served on" : "";
    this.#options.log.warn({ reason }, `the xDS server cannot be reached${consequence}; trying again`);
  }

  /** A fault of ours costs the stream: the next one begins with what is in force. */
  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error) => {
      this.#options.log.error({ error: String((error as Error)?.stack ?? error) }, "a discovery response could not be handled");
      this.#stream?.close();
    });
  }

  #tick(): void {
    if (this.#intake.isWaiting) this.#do(() => this.#intake.lookAgain(this.#isConnected));
  }

  #send(request: DeltaRequest): void {
    if (this.#begun === undefined) return;
    const { stream, hasSaidNode } = this.#begun;
    this.#begun.hasSaidNode = true;
    stream.send(encodeRequest({ node: hasSaidNode ? undefined : this.#options.node, ...request }));
  }
}

/** gRPC puts the time of some faults into their text, and the name of what it has not got to say: the same fault would be told each time. */
function steady(cause: string): string {
  const text = cause.replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)/g, "").replace(/\.? Resolution note: *$/, "");
  return text.endsWith("Protocol error") ? `${text}: what listens there does not speak gRPC; is it the port that serves xDS?` : text;
}

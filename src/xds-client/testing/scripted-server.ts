// A server of delta ADS that says what a test tells it to, and nothing of its own.
import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  type ResourceSchema,
} from "../../gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import type { EnvoyResource } from "../../model/envoy-resource.ts";

const asIs = (bytes: Buffer) => bytes;
const deltaAds = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

export class ScriptedServer implements AsyncDisposable {
  /** Of all streams, in order of arrival. */
  readonly requests: DeltaDiscoveryRequest[] = [];
  streams = 0;
  readonly #server = new Server();
  #call: ServerDuplexStream<Buffer, Buffer> | undefined;
  #nonces = 0;
  port = 0;

  async start(path = deltaAds): Promise<this> {
    const method = {
      path,
      requestStream: true,
      responseStream: true,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    this.#server.addService(
      { method },
      {
        method: (call: ServerDuplexStream<Buffer, Buffer>) => {
          this.#call = call;
          this.streams++;
          call.on("data", (bytes: Buffer) => this.requests.push(fromBinary(DeltaDiscoveryRequestSchema, bytes)));
          call.on("error", () => {});
          call.on("end", () => call.end());
        },
      },
    );
    this.port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port))),
    );
    return this;
  }

  /** Returns the nonce. */
  send(typeUrl: string, resources: readonly EnvoyResource[], removedResources: string[] = []): string {
    return this.sendRaw(
      typeUrl,
      resources.map(({ name, version, typeUrl: own, bytes }) => ({ name, version, resource: { typeUrl: own, value: bytes } })),
      removedResources,
    );
  }

  sendRaw(typeUrl: string, resources: MessageInitShape<typeof ResourceSchema>[], removedResources: string[] = []): string {
    const nonce = `n${++this.#nonces}`;
    const response = create(DeltaDiscoveryResponseSchema, { typeUrl, nonce, resources, removedResources });
    this.#call?.write(Buffer.from(toBinary(DeltaDiscoveryResponseSchema, response)));
    return nonce;
  }

  /** The first request that is so. */
  async asked(what: string, isIt: (request: DeltaDiscoveryRequest) => boolean): Promise<DeltaDiscoveryRequest> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      const found = this.requests.find(isIt);
      if (found) return found;
      if (performance.now() > deadline) throw new Error(`nobody asked: ${what}`);
      await delay(5);
    }
  }

  /** The error of the answer; empty for an acknowledgement. */
  async answerTo(nonce: string): Promise<string> {
    return (await this.asked(`an answer to ${nonce}`, ({ responseNonce }) => responseNonce === nonce)).errorDetail?.message ?? "";
  }

  endStream(): void {
    this.#call?.emit("error", { code: 14, details: "the test ended it" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
  }
}

// Messages of the delta protocol as a client has them.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { DeltaDiscoveryRequestSchema, DeltaDiscoveryResponseSchema } from "../gen/envoy/envoy/service/discovery/v3/discovery_pb.js";

/** Who asks: `metadata.role` picks the Proxy. */
export interface NodeIdentity {
  readonly id: string;
  readonly cluster: string;
  readonly role: string;
  /** Of this program: `1.2.3`. */
  readonly version: string;
}

export interface DeltaRequest {
  /** On the first request of a stream only. */
  readonly node?: NodeIdentity | undefined;
  readonly typeUrl: string;
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
  /** What the client has from an earlier stream. */
  readonly initialVersions?: ReadonlyMap<string, string>;
  /** Of the response that is answered. */
  readonly nonce?: string;
  /** Why that response, or part of it, was refused. */
  readonly error?: string | undefined;
}

export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly ReceivedResource[];
  readonly removed: readonly string[];
}

export interface ReceivedResource {
  readonly name: string;
  /** The server's own word for the content. */
  readonly version: string;
  /** Of the content; undefined for a heartbeat, which has none. */
  readonly content: { readonly typeUrl: string; readonly bytes: Uint8Array } | undefined;
}

/** gRPC's INTERNAL: what Envoy says of whatever it refuses. */
const refusedCode = 13;

export function encodeRequest(request: DeltaRequest): Uint8Array {
  const { node, typeUrl, subscribe = [], unsubscribe = [], initialVersions, nonce = "", error } = request;
  return toBinary(
    DeltaDiscoveryRequestSchema,
    create(DeltaDiscoveryRequestSchema, {
      ...(node && {
        node: {
          id: node.id,
          cluster: node.cluster,
          metadata: { role: node.role },
          userAgentName: "headworks",
          userAgentVersionType: { case: "userAgentVersion", value: node.version },
        },
      }),
      typeUrl,
      resourceNamesSubscribe: [...subscribe],
      resourceNamesUnsubscribe: [...unsubscribe],
      initialResourceVersions: Object.fromEntries(initialVersions ?? []),
      responseNonce: nonce,
      ...(error !== undefined && { errorDetail: { code: refusedCode, message: error } }),
    }),
  );
}

/** Throws on bytes that are no such message. */
export function decodeResponse(bytes: Uint8Array): DeltaResponse {
  const message = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return {
    typeUrl: message.typeUrl,
    nonce: message.nonce,
    resources: message.resources.map(({ name, version, resource }) => ({
      name,
      version,
      // Copied: a view would keep the whole response in memory for as long as one resource of it is in force.
      content: resource && { typeUrl: resource.typeUrl, bytes: resource.value.slice() },
    })),
    removed: message.removedResources,
  };
}

// Discovery messages on the wire. Requests are decoded with Envoy's schema; responses are put together from the bytes that
// resources already have: nothing is encoded a second time, however many clients there are.
import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Node } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import { DeltaDiscoveryRequestSchema, DiscoveryRequestSchema } from "../gen/envoy/envoy/service/discovery/v3/discovery_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";

/** What requests of both variants have in common. */
interface CommonRequest {
  readonly node: Node | undefined;
  readonly typeUrl: string;
  /** The nonce of the response that this acknowledges, or empty. */
  readonly nonce: string;
  /** Set on a NACK, and only then. */
  readonly error: string | undefined;
}

export interface DeltaRequest extends CommonRequest {
  readonly variant: "delta";
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  readonly initialVersions: Readonly<Record<string, string>>;
}

export interface SotwRequest extends CommonRequest {
  readonly variant: "sotw";
  /** The version of the set that the client took last. */
  readonly version: string;
  readonly names: readonly string[];
}

export type XdsRequest = DeltaRequest | SotwRequest;
export type Variant = XdsRequest["variant"];

/** Throws on bytes that are no such message. */
export function decodeRequest(variant: Variant, bytes: Uint8Array): XdsRequest {
  return variant === "delta" ? decodeDelta(bytes) : decodeSotw(bytes);
}

function decodeDelta(bytes: Uint8Array): DeltaRequest {
  const message = fromBinary(DeltaDiscoveryRequestSchema, bytes);
  return {
    variant: "delta",
    node: message.node,
    typeUrl: message.typeUrl,
    nonce: message.responseNonce,
    error: message.errorDetail?.message,
    subscribe: message.resourceNamesSubscribe,
    unsubscribe: message.resourceNamesUnsubscribe,
    initialVersions: message.initialResourceVersions,
  };
}

function decodeSotw(bytes: Uint8Array): SotwRequest {
  const message = fromBinary(DiscoveryRequestSchema, bytes);
  return {
    variant: "sotw",
    version: message.versionInfo,
    node: message.node,
    typeUrl: message.typeUrl,
    nonce: message.responseNonce,
    error: message.errorDetail?.message,
    names: message.resourceNames,
  };
}

/** What a response says besides its resources. */
export interface ResponseHead {
  readonly typeUrl: string;
  /** Of the whole set that the client has after this response. */
  readonly setVersion: string;
  readonly nonce: string;
  /** Who we are: on the first response of a stream. */
  readonly controlPlane?: string;
}

/** DeltaDiscoveryResponse: system_version_info 1, resources 2, type_url 4, nonce 5, removed_resources 6, control_plane 7. */
export function deltaResponse(head: ResponseHead, resources: readonly EnvoyResource[], removed: readonly string[]): Buffer {
  const parts: Uint8Array[] = [];
  for (const resource of resources) pushDeltaResource(parts, resource);
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(head.setVersion);
  writer.tag(4, WireType.LengthDelimited).string(head.typeUrl);
  writer.tag(5, WireType.LengthDelimited).string(head.nonce);
  for (const name of removed) writer.tag(6, WireType.LengthDelimited).string(name);
  if (head.controlPlane !== undefined) writer.tag(7, WireType.LengthDelimited).bytes(controlPlane(head.controlPlane));
  parts.push(writer.finish());
  return Buffer.concat(parts);
}

/** DiscoveryResponse: version_info 1, resources 2, type_url 4, nonce 5, control_plane 6. */
export function sotwResponse(head: ResponseHead, resources: Iterable<EnvoyResource>): Buffer {
  const parts: Uint8Array[] = [];
  for (const resource of resources) pushField(parts, 2, anyOf(resource));
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(head.setVersion);
  writer.tag(4, WireType.LengthDelimited).string(head.typeUrl);
  writer.tag(5, WireType.LengthDelimited).string(head.nonce);
  if (head.controlPlane !== undefined) writer.tag(6, WireType.LengthDelimited).bytes(controlPlane(head.controlPlane));
  parts.push(writer.finish());
  return Buffer.concat(parts);
}

/** Resource: version 1, resource (Any) 2, name 3; as field 2 of the response. */
function pushDeltaResource(parts: Uint8Array[], resource: EnvoyResource): void {
  const any = anyOf(resource);
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string(resource.version);
  writer.tag(3, WireType.LengthDelimited).string(resource.name);
  const named = writer.finish();
  const anyLength = lengthOf(any);
  const anyHeader = header(2, anyLength);
  parts.push(header(2, named.length + anyHeader.length + anyLength), named, anyHeader, ...any);
}

/** Any: type_url 1, value 2; in parts, so that the value is copied only once, into the response. */
function anyOf(resource: EnvoyResource): readonly Uint8Array[] {
  return [anyHead(resource.typeUrl), header(2, resource.bytes.length), resource.bytes];
}

const anyHeads = new Map<string, Uint8Array>();

function anyHead(typeUrl: EnvoyResource["typeUrl"]): Uint8Array {
  let head = anyHeads.get(typeUrl);
  if (head === undefined) {
    head = new BinaryWriter().tag(1, WireType.LengthDelimited).string(typeUrl).finish();
    anyHeads.set(typeUrl, head);
  }
  return head;
}

function controlPlane(identifier: string): Uint8Array {
  return new BinaryWriter().tag(1, WireType.LengthDelimited).string(identifier).finish();
}

function pushField(parts: Uint8Array[], field: number, content: readonly Uint8Array[]): void {
  parts.push(header(field, lengthOf(content)), ...content);
}

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

/** Tag and length of a length-delimited field with a number below 16. */
function header(field: number, length: number): Uint8Array {
  const bytes = [(field << 3) | WireType.LengthDelimited];
  let rest = length;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

const clusterTypeEds = 3;

/**
 * The name under which an Envoy Cluster asks for its endpoints, when it asks over EDS: `service_name`, else its own name.
 * Reads three fields (name 1, type 2, eds_cluster_config 3 with service_name 2) and skips the rest.
 */
export function endpointsNameOf(cluster: Uint8Array): string | undefined {
  let name = "";
  let isEds = false;
  let serviceName = "";
  const reader = new BinaryReader(cluster);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.LengthDelimited) name = reader.string();
    else if (field === 2 && type === WireType.Varint) isEds = reader.int32() === clusterTypeEds;
    else if (field === 3 && type === WireType.LengthDelimited) serviceName = serviceNameOf(reader.bytes());
    else reader.skip(type, field);
  }
  if (!isEds) return undefined;
  return serviceName === "" ? name : serviceName;
}

function serviceNameOf(edsClusterConfig: Uint8Array): string {
  let serviceName = "";
  const reader = new BinaryReader(edsClusterConfig);
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 2 && type === WireType.LengthDelimited) serviceName = reader.string();
    else reader.skip(type, field);
  }
  return serviceName;
}

// A RouteConfiguration: compiled a virtual host at a time, and a virtual host whose bytes are those of before is not compiled again. One changed
// host of ten thousand costs comparing bytes, not compiling.

import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { RouteSchema, type VirtualHost, VirtualHostSchema } from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import { RouteConfigurationSchema } from "../../gen/envoy/envoy/config/route/v3/route_pb.js";
import { unhandledFields } from "../fields.ts";
import { DomainTable, type VirtualHostEntry, virtualHostEntry } from "../match.ts";
import { VirtualHost_TlsRequirementType as TlsRequirement } from "./enums.ts";
import { type Finding, Findings } from "./findings.ts";
import { handledFields } from "./handled.ts";
import { compileHeaderMutations, type HeaderMutations } from "./header-mutations.ts";
import { type CompiledRateLimit, compileRateLimits } from "./rate-limits.ts";
import { type CompiledRoute, compileRoute } from "./route.ts";
import { compileRouteFilters, type RouteFilters } from "./route-filters.ts";

export interface CompiledVirtualHost extends VirtualHostEntry<CompiledRoute> {
  readonly bytes: Uint8Array;
  readonly filters: RouteFilters;
  readonly findings: readonly Finding[];
  readonly requestMutations: HeaderMutations | undefined;
  readonly responseMutations: HeaderMutations | undefined;
  readonly requiresTls: boolean;
  readonly countsAttempts: boolean;
  readonly tellsAttempts: boolean;
  readonly bufferLimit: number | undefined;
  readonly rateLimits: readonly CompiledRateLimit[];
}

export interface CompiledRouteConfig {
  readonly name: string;
  readonly filters: RouteFilters;
  readonly hosts: readonly CompiledVirtualHost[];
  readonly domains: DomainTable<CompiledRoute>;
  readonly requestMutations: HeaderMutations | undefined;
  readonly responseMutations: HeaderMutations | undefined;
  readonly mostSpecificWins: boolean;
  readonly ignorePathParameters: boolean;
  readonly internalOnlyHeaders: readonly string[];
  readonly findings: readonly Finding[];
}

/** Throws when the bytes are not a RouteConfiguration. */
export function compileRouteConfig(bytes: Uint8Array, previous: CompiledRouteConfig | undefined): CompiledRouteConfig {
  const { rest, hosts: slices } = splitVirtualHosts(bytes);
  const message = fromBinary(RouteConfigurationSchema, rest);
  const findings = new Findings();
  for (const path of unhandledFields(RouteConfigurationSchema, message, handledFields)) findings.notExecuted(path);
  const known = previousHosts(slices, previous);
  const hosts = slices.map((slice, index) => known(slice, index) ?? compileVirtualHost(slice));
  return {
    name: message.name,
    filters: compileRouteFilters(message.typedPerFilterConfig, findings),
    hosts,
    domains: new DomainTable(hosts, message.ignorePortInHostMatching),
    requestMutations: compileHeaderMutations(
      message.requestHeadersToAdd,
      message.requestHeadersToRemove,
      findings,
      "request_headers_to_add",
    ),
    responseMutations: compileHeaderMutations(
      message.responseHeadersToAdd,
      message.responseHeadersToRemove,
      findings,
      "response_headers_to_add",
    ),
    mostSpecificWins: message.mostSpecificHeaderMutationsWins,
    ignorePathParameters: message.ignorePathParametersInPathMatching,
    internalOnlyHeaders: message.internalOnlyHeaders.map((name) => name.toLowerCase()),
    findings: [...findings.all, ...hosts.flatMap((host) => host.findings)],
  };
}

const virtualHostsField = 2;

/** The bytes of each virtual host, and a message of everything else. */
function splitVirtualHosts(bytes: Uint8Array): { rest: Uint8Array; hosts: Uint8Array[] } {
  const hosts: Uint8Array[] = [];
  const rest = new BinaryWriter();
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [field, wireType] = reader.tag();
    if (field === virtualHostsField && wireType === WireType.LengthDelimited) hosts.push(reader.bytes());
    else {
      reader.skip(wireType, field);
      rest.raw(bytes.subarray(start, reader.pos));
    }
  }
  return { rest: rest.finish(), hosts };
}

function previousHosts(slices: readonly Uint8Array[], previous: CompiledRouteConfig | undefined) {
  if (previous === undefined) return () => undefined;
  // Mostly each host stands where it stood; after an insertion, all behind it have moved by the same distance.
  let shift = 0;
  const byText = new Map<string, CompiledVirtualHost>();
  let isIndexed = false;
  return (slice: Uint8Array, index: number): CompiledVirtualHost | undefined => {
    const there = previous.hosts[index + shift];
    if (there !== undefined && isEqual(there.bytes, slice)) return there;
    const moved = previous.hosts.length - slices.length;
    const after = previous.hosts[index + moved];
    if (after !== undefined && isEqual(after.bytes, slice)) {
      shift = moved;
      return after;
    }
    if (!isIndexed) {
      for (const host of previous.hosts) byText.set(host.name, host);
      isIndexed = true;
    }
    const named = byText.get(nameOf(slice));
    return named !== undefined && isEqual(named.bytes, slice) ? named : undefined;
  };
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** The name of an encoded virtual host: field 1, which encoders write first. */
function nameOf(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) return reader.string();
    reader.skip(wireType, field);
  }
  return "";
}

function compileVirtualHost(bytes: Uint8Array): CompiledVirtualHost {
  const host: VirtualHost = fromBinary(VirtualHostSchema, bytes);
  const findings = new Findings().at(`virtual_hosts[${JSON.stringify(host.name)}]`, host.name);
  const shallow = { ...host, routes: [] };
  for (const path of unhandledFields(VirtualHostSchema, shallow, handledFields)) findings.notExecuted(path);
  const routes = host.routes.map((route, index) => {
    const place = findings.at(`routes[${index}]`, `${host.name} ${route.name}`);
    const { match, ...rest } = route;
    for (const path of unhandledFields(RouteSchema, rest, handledFields)) place.notExecuted(path);
    return compileRoute(route, host.retryPolicy, place);
  });
  const limit = host.requestBodyBufferLimit ?? host.perRequestBufferLimitBytes;
  return {
    ...virtualHostEntry(host.name, host.domains, routes),
    bytes,
    filters: compileRouteFilters(host.typedPerFilterConfig, findings),
    requestMutations: compileHeaderMutations(host.requestHeadersToAdd, host.requestHeadersToRemove, findings, "request_headers_to_add"),
    responseMutations: compileHeaderMutations(host.responseHeadersToAdd, host.responseHeadersToRemove, findings, "response_headers_to_add"),
    requiresTls: host.requireTls !== TlsRequirement.NONE,
    countsAttempts: host.includeRequestAttemptCount,
    tellsAttempts: host.includeAttemptCountInResponse,
    bufferLimit: limit === undefined ? undefined : Number(limit),
    rateLimits: compileRateLimits(host.rateLimits, findings),
    findings: findings.all,
  };
}

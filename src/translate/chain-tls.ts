// TLS of filter chains: the names that they take and the socket that they get; and what is said where that is none.
import { envoyResource } from "../envoy/encode.ts";
import { SecretSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { Matcher } from "../gen/gloo/gloo/projects/gateway/api/v1/gateway_pb.js";
import type { SslConfig } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import type { GatewayPart } from "../model/gateway-part.ts";
import { type Problem, problem } from "../model/problem.ts";
import { formatRef, parseResourceKey, type ResourceKey, resourceKey } from "../model/ref.ts";
import type { SendSecret } from "../plugin/tlsContext.ts";
import type { World } from "../plugin/world.ts";
import { type ChainDraft, chainMatch, downstreamTls, isUsableServerName, type PlacedSsl, type SslGroup } from "./filter-chains.ts";

/** Settings whose names Envoy takes; the first, where one is asked for. */
export interface UsableSsl {
  readonly usable: readonly PlacedSsl[];
  readonly problems: readonly Problem[];
}

export interface MadeTls {
  /** Undefined after everybody who shares the settings was told why. */
  readonly socket: ChainDraft["transportSocket"];
  /** The Secrets that it refers to. */
  readonly secrets: readonly EnvoyResource[];
  readonly problems: readonly Problem[];
}

/** What a part of a hybrid Gateway says about TLS, for what its VirtualServices or hosts leave out; its names are checked. */
export function defaultSsl(part: GatewayPart, gateway: ResourceKey): UsableSsl {
  const ssl = part.matcher?.sslConfig;
  if (ssl === undefined) return { usable: [], problems: [] };
  const own = { ssl, resource: gateway, path: part.path.replace(/\b(http|tcp)Gateway$/, "matcher.sslConfig") };
  const { usable, problems } = withUsableNames(own);
  return { usable: usable.length > 0 ? usable : [{ ...own, ssl: { ...ssl, sniDomains: [] } }], problems };
}

/** Of VirtualServices, those that have any. */
export function placedSsl(hosts: readonly { readonly resource: ResourceKey; readonly ssl?: SslConfig }[], { settings }: World): UsableSsl {
  const oneWayTls = settings.gateway?.virtualServiceOptions?.oneWayTls;
  const all = hosts.flatMap(({ resource, ssl }) => {
    if (ssl === undefined) return [];
    const own = ssl.oneWayTls === undefined && oneWayTls !== undefined ? { ...ssl, oneWayTls } : ssl;
    return [withUsableNames({ ssl: own, resource, path: "sslConfig" })];
  });
  return { usable: all.flatMap(({ usable }) => usable), problems: all.flatMap(({ problems }) => problems) };
}

/** Without the server names that Envoy would refuse; nothing where it names only such: without names it would take everybody's. */
export function withUsableNames(placed: PlacedSsl): UsableSsl {
  const { ssl, resource, path } = placed;
  const names = ssl.sniDomains.filter(isUsableServerName);
  if (names.length === ssl.sniDomains.length) return { usable: [placed], problems: [] };
  const problems = ssl.sniDomains.flatMap((name, i) => {
    if (isUsableServerName(name)) return [];
    const message = `the SNI domain ${JSON.stringify(name)} cannot be used: a star stands for the whole first label, as in *.example.com`;
    return problem("error", resource, "SniDomainUnusable", message, {
      path: `${path}.sniDomains[${i}]`,
      costs: names.length === 0 ? "filterChain" : "nothing",
      hint: name === "*" ? "leave sniDomains out to take every name" : "write out the names, or use *. and a domain",
      statusText: statusTextOf(message),
    });
  });
  return { usable: names.length === 0 ? [] : [{ ...placed, ssl: { ...ssl, sniDomains: names } }], problems };
}

export function tlsOf(group: SslGroup, gateway: ResourceKey, world: World, secretsApart: boolean): MadeTls {
  const [member] = group.members;
  const first = member?.secrets ? { ...member, resource: member.secrets.resource, path: member.secrets.path } : member;
  if (first === undefined) return { socket: undefined, secrets: [], problems: [] };
  const secrets: EnvoyResource[] = [];
  const made = downstreamTls(first, world, secretsApart ? sender(first, secrets) : undefined);
  if (made.socket) return { socket: made.socket, secrets, problems: made.problems };
  const told = member?.secrets ? [first] : group.members;
  return { socket: undefined, secrets, problems: made.problems.flatMap((found) => ofEverybody(found, first, told, gateway)) };
}

/** A finding about the first of a group, for all who share its settings, and for the Gateway that lacks the chain. */
function ofEverybody(found: Problem, first: PlacedSsl, told: readonly PlacedSsl[], gateway: ResourceKey): Problem[] {
  const problems = told.map(({ resource, path }): Problem => {
    const where = `${path}${found.path?.slice(first.path.length) ?? ""}`;
    return {
      ...found,
      resource,
      path: where,
      costs: "filterChain",
      elsewhere: isOfAnother(found),
      statusText: statusTextOf(found.message),
    };
  });
  if (first.resource === gateway) return problems;
  const { kind, ref } = parseResourceKey(first.resource);
  const message = `a filter chain is left out: ${found.message} (${kind} ${formatRef(ref)})`;
  const statusText = `Listener Warning: SSLConfigWarning. Reason: ${found.message}`;
  const hint = "the others are served";
  return [...problems, problem("warning", gateway, "TlsInvalid", message, { hint, statusText, repeats: first.resource })];
}

/** What a Secret is made into is as much its own as that of whoever names it. */
function sender({ resource, ssl }: PlacedSsl, secrets: EnvoyResource[]): SendSecret {
  const { sslSecrets } = ssl;
  const secret = sslSecrets.case === "secretRef" ? [resourceKey("Secret", sslSecrets.value)] : [];
  return (name, message) => {
    secrets.push(envoyResource(SecretSchema, name, message, [resource, ...secret]));
  };
}

export function tlsChain(
  { serverNames, members }: SslGroup,
  matcher: Matcher | undefined,
  socket: ChainDraft["transportSocket"],
  filters: NonNullable<ChainDraft["filters"]>,
): ChainDraft {
  const timeout = members[0]?.ssl.transportSocketConnectTimeout;
  const match = chainMatch(serverNames, matcher);
  return {
    ...(match && { filterChainMatch: match }),
    filters,
    ...(socket && { transportSocket: socket }),
    ...(timeout && { transportSocketConnectTimeout: timeout }),
  };
}

/** The secret is at fault, not the settings that name it. */
function isOfAnother({ reason }: Problem): boolean {
  return reason.startsWith("TlsSecret");
}

function statusTextOf(message: string): string {
  return `Listener Error: SSLConfigError. Reason: ${message}`;
}

// Gateways and VirtualServices → encoded virtual hosts. One VirtualService changes: its own hosts are made again, and nothing beside.
import type { Collection, Graph, Index, Read, Single } from "../graph/mod.ts";
import type { HttpPart } from "../model/gateway-part.ts";
import type { Problem } from "../model/problem.ts";
import { type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { domainKey, type ModelVirtualHost } from "../model/virtual-host.ts";
import type { World } from "../plugin/world.ts";
import { claimedDomains, type DomainVerdict, judgeDomains, leftOver } from "../routing/domains.ts";
import { defaultGateway, isRead, partsOf, proxiesOf } from "../routing/gateways.ts";
import { neverMatching } from "../routing/never-matches.ts";
import { selectsInto } from "../routing/selection.ts";
import { unreachableRoutes } from "../routing/unreachable.ts";
import { virtualHostOf } from "../routing/virtual-host.ts";
import { type EncodedVirtualHost, envoyVirtualHost } from "../translate/virtual-host.ts";
import { type Inputs, sameJson } from "./inputs.ts";
import { type Made, withLastGood } from "./last-good.ts";
import type { Making } from "./making.ts";
import { hasCluster, type Upstreams } from "./upstreams.ts";
import { type InService, worldOf } from "./world.ts";

/** A VirtualService as one part of one Gateway takes it, for one proxy. */
export interface Attachment {
  readonly proxy: string;
  readonly gateway: ResourceKey;
  /** Which part of the Gateway. */
  readonly part: number;
  readonly virtualService: ResourceKey;
  readonly domains: readonly string[];
  /** Those that it names twice. */
  readonly repeated: readonly string[];
}

/** Identifies a part of a Gateway for one proxy: what has one set of domains. */
export function siteOf({ proxy, gateway, part }: Pick<Attachment, "proxy" | "gateway" | "part">): string {
  return `${proxy} ${part} ${gateway}`;
}

export function configuredKey(site: string, filter: string): string {
  return `${site} ${filter}`;
}

export interface Hosts {
  /** The Gateways that are read, or the default one. */
  readonly gateways: Single<readonly Resource<"Gateway">[]>;
  readonly attachments: Collection<Attachment>;
  readonly attachmentsBySite: Index<Attachment>;
  readonly attachmentsByOwner: Index<Attachment>;
  readonly hosts: Collection<SiteHost>;
  readonly hostsBySite: Index<SiteHost>;
  readonly hostsByOwner: Index<SiteHost>;
  readonly hostsByUse: Index<SiteHost>;
  /** By site and filter: the HTTP filters that a host there configures, where unused ones are left out. */
  readonly configured: Collection<true>;
  readonly sharedDomains: Collection<SharedDomain>;
  readonly sharedDomainsBySite: Index<SharedDomain>;
}

/** A domain that is claimed more than once on a site. */
export interface SharedDomain {
  readonly site: string;
  readonly virtualServices: readonly ResourceKey[];
}

/** One virtual host of one site. */
export interface SiteHost extends Made<EncodedVirtualHost | undefined> {
  readonly attachment: Attachment;
  /** Discovered Upstreams that it leads to. */
  readonly uses: readonly ResourceKey[];
  /** About what no request reaches or matches, of the newest version. */
  readonly unmatched: readonly Problem[];
}

export function hostsFlow(graph: Graph, inputs: Inputs, known: InService, upstreams: Upstreams, making: Making): Hosts {
  const gateways = graph.value("gateways", (read) => gatewaysOf(read, inputs, known), { equals: sameGateways });
  const gatewayOf = graph.deriveMany("gateways by key", gateways, (all) => all.map((each) => [each.key, each] as const));
  const attachments = graph.deriveMany(
    "attachments",
    known.of.VirtualService,
    (virtualService, _key, read) =>
      attachmentsOf(virtualService, read.value(gateways), worldOf(read, known)).map(
        (each) => [`${siteOf(each)} ${each.virtualService}`, each] as const,
      ),
    { equals: sameJson },
  );
  const bySite = attachments.index("by site", (each) => [siteOf(each)]);
  const byDomain = attachments.index("by domain", (each) => each.domains.map((domain) => `${siteOf(each)} ${domain}`));
  const goodByDomain = inputs.lastGood.VirtualService.index("by domain", claimedDomains);
  const hosts = graph.derive(
    "virtual hosts",
    attachments,
    (attachment, _key, read): SiteHost | undefined => {
      const gateway = read.get(gatewayOf, attachment.gateway);
      const part = gateway && partsOf(gateway, worldOf(read, known)).parts[attachment.part];
      const virtualService = read.get(known.of.VirtualService, attachment.virtualService);
      if (gateway === undefined || part?.kind !== "http" || virtualService === undefined) return undefined;
      const uses = new Set<ResourceKey>();
      const world = worldOf(read, known, uses);
      const judged = judgeDomains(
        virtualService,
        (domain) => claimants(read, byDomain, known, attachment, domain),
        (domain) => incumbent(read, byDomain, inputs, attachment, domain),
      );
      const isTaken = attachment.domains.includes(leftOver) && firstOfOlder(read, attachments, goodByDomain, known, attachment, "*");
      const verdict = isTaken ? { ...judged, lost: new Set(["*"]) } : judged;
      // A domain that only the last good version claims may be somebody else's by now.
      const lostByOlder = (older: Resource<"VirtualService">) =>
        claimedDomains(older)
          .map((domain) => (domain === leftOver ? "*" : domain))
          .filter((domain) => {
            const claims = read.lookup(byDomain, `${siteOf(attachment)} ${domain}`).map(([, each]) => each.virtualService);
            if (claims.length > 0) return !claims.includes(older.key);
            return firstOfOlder(read, attachments, goodByDomain, known, attachment, domain) !== older.key;
          });
      let routed: ModelVirtualHost | undefined;
      const made = withLastGood<EncodedVirtualHost | undefined>(read, inputs, world, {
        owner: virtualService.key,
        nothing: undefined,
        make: (version, inUse) =>
          hostIn(
            version,
            virtualService,
            inUse(virtualService),
            gateway,
            part,
            attachment.proxy,
            verdict,
            lostByOlder,
            making,
            (ref) => hasCluster(read, upstreams, resourceKey("Upstream", ref)),
            (model) => {
              routed ??= model; // of the newest version, which is tried first: findings speak of what is written now
            },
          ),
      });
      return {
        attachment,
        uses: [...uses].sort(),
        unmatched: routed ? [...unreachableRoutes(routed), ...neverMatching(routed)] : [],
        ...made,
      };
    },
    { equals: sameHost },
  );
  const shared = graph.deriveGroups(
    "shared domains",
    byDomain,
    (_key, claims): SharedDomain | undefined => {
      const [first] = claims;
      if (first === undefined) return undefined;
      // One VirtualService that names a domain twice conflicts with itself.
      const repeats = claims.some(([, { repeated }]) => repeated.length > 0);
      return claims.length > 1 || repeats
        ? { site: siteOf(first[1]), virtualServices: claims.map(([, each]) => each.virtualService) }
        : undefined;
    },
    { equals: sameJson },
  );
  return {
    gateways,
    attachments,
    attachmentsBySite: bySite,
    attachmentsByOwner: attachments.index("by owner", (each) => [each.virtualService]),
    hosts,
    hostsBySite: hosts.index("by site", (host) => [siteOf(host.attachment)]),
    hostsByOwner: hosts.index("by owner", (host) => host.reports.keys()),
    hostsByUse: hosts.index("by use", ({ uses }) => uses),
    configured: graph.deriveGroups(
      "configured filters",
      hosts.index("by configured filter", ({ attachment, made }) =>
        (made?.configured ?? []).map((filter) => configuredKey(siteOf(attachment), filter)),
      ),
      () => true as const,
      { equals: (a, b) => a === b },
    ),
    sharedDomains: shared,
    sharedDomainsBySite: shared.index("by site", ({ site }) => [site]),
  };
}

/** One that cannot be read is one all the same: nobody asked for the default. */
function gatewaysOf(read: Read, inputs: Inputs, known: InService): readonly Resource<"Gateway">[] {
  const settings = read.value(known.settings);
  const all = read.list(known.of.Gateway).map(([, gateway]) => gateway);
  return all.length === 0 && !hasUnreadable(read, inputs)
    ? [defaultGateway(settings)]
    : all.filter((gateway) => isRead(gateway.ref, settings));
}

function hasUnreadable(read: Read, inputs: Inputs): boolean {
  return read.list(inputs.given.Gateway).some(([, { spec }]) => spec === undefined);
}

function sameGateways(a: readonly Resource[], b: readonly Resource[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

function attachmentsOf(virtualService: Resource<"VirtualService">, gateways: readonly Resource<"Gateway">[], world: World): Attachment[] {
  return gateways.flatMap((gateway) =>
    partsOf(gateway, world).parts.flatMap((part, i) => {
      if (part.kind !== "http" || gateway.spec === undefined || !selectsInto(part, virtualService)) return [];
      const domains = claimedDomains(virtualService);
      const written = (virtualService.spec?.virtualHost?.domains ?? []).map(domainKey);
      const repeated = written.filter((domain, at) => written.indexOf(domain) !== at);
      return proxiesOf(gateway.spec).map((proxy) => ({
        proxy,
        gateway: gateway.key,
        part: i,
        virtualService: virtualService.key,
        domains,
        repeated,
      }));
    }),
  );
}

function hostIn(
  world: World,
  newest: Resource<"VirtualService">,
  virtualService: Resource<"VirtualService"> | undefined,
  gateway: Resource<"Gateway">,
  part: HttpPart,
  proxy: string,
  verdict: DomainVerdict,
  lostByOlder: (older: Resource<"VirtualService">) => readonly string[],
  making: Making,
  has: (ref: { namespace: string; name: string }) => boolean,
  noteRouted: (host: ModelVirtualHost) => void,
): { made: EncodedVirtualHost | undefined; reports: Map<ResourceKey, readonly Problem[]> } {
  if (virtualService === undefined) return { made: undefined, reports: new Map() };
  const routed = virtualHostOf(gateway, proxy, virtualService, world);
  const reports = new Map<ResourceKey, readonly Problem[]>(routed.reports);
  const add = (problems: readonly Problem[]) => {
    for (const each of problems) if (each.resource) reports.set(each.resource, [...(reports.get(each.resource) ?? []), each]);
  };
  add(verdict.problems);
  if (routed.host === undefined) return { made: undefined, reports };
  noteRouted(routed.host);
  const options = gateway.spec?.routeOptions;
  const encoded = envoyVirtualHost(routed.host, {
    world,
    plugins: making,
    encodesLater: making.encodesLater,
    ...(part.http.options && { http: part.http.options }),
    requireTls: part.takesTls,
    lostDomains: virtualService.version === newest.version ? verdict.lost : new Set([...verdict.lost, ...lostByOlder(virtualService)]),
    hasCluster: has,
    ...(options?.maxDirectResponseBodySizeBytes !== undefined && { maxDirectResponseBytes: options.maxDirectResponseBodySizeBytes }),
  });
  add(encoded.problems);
  for (const owner of encoded.owners) if (!reports.has(owner)) reports.set(owner, []);
  return { made: encoded, reports };
}

/** Those who claim a domain of a site. */
function claimants(read: Read, byDomain: Index<Attachment>, known: InService, { proxy, gateway, part }: Attachment, domain: string) {
  return read
    .lookup(byDomain, `${siteOf({ proxy, gateway, part })} ${domain}`)
    .map(([, each]) => read.get(known.of.VirtualService, each.virtualService))
    .filter((each) => each !== undefined);
}

/**
 * Of those whose last good version claims a domain that no newest version does, the first: as all of them may be in service with
 * that version, and a domain that two virtual hosts had would cost the whole route configuration.
 */
function firstOfOlder(
  read: Read,
  attachments: Collection<Attachment>,
  goodByDomain: Index<Resource<"VirtualService">>,
  known: InService,
  attachment: Attachment,
  domain: string,
): string | undefined {
  const first = read
    .lookup(goodByDomain, domain)
    .find(
      ([key, good]) =>
        read.get(known.of.VirtualService, key)?.version !== good.version && read.has(attachments, `${siteOf(attachment)} ${key}`),
    );
  return first?.[0];
}

/** Who had the domain before there was a conflict: a good version that claims it. Asked only when several do. */
function incumbent(
  read: Read,
  byDomain: Index<Attachment>,
  inputs: Inputs,
  { proxy, gateway, part }: Attachment,
  domain: string,
): ResourceKey | undefined {
  const claims = read.lookup(byDomain, `${siteOf({ proxy, gateway, part })} ${domain}`);
  return claims.find(([, { virtualService }]) => {
    const good = read.get(inputs.lastGood.VirtualService, virtualService);
    return good !== undefined && claimedDomains(good).includes(domain);
  })?.[1].virtualService;
}

function sameHost(a: SiteHost, b: SiteHost): boolean {
  const [x, y] = [a.made?.bytes, b.made?.bytes];
  const sameBytes = x === undefined || y === undefined ? x === y : Buffer.compare(x, y) === 0;
  return (
    sameBytes &&
    a.made?.usesFallback === b.made?.usesFallback &&
    sameJson(a.made?.configured, b.made?.configured) &&
    sameJson(a.made?.owners, b.made?.owners) &&
    sameJson([a.attachment, a.uses, a.unmatched], [b.attachment, b.uses, b.unmatched]) &&
    sameJson([...a.reports], [...b.reports])
  );
}

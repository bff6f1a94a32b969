// Who serves a domain when several VirtualServices of one Gateway claim it.
//
// Gloo withholds all of them, and the listener. Here the first keeps the domain, and the others are served under the domains
// that remain to them. All are told.
import { type Problem, Report } from "../model/problem.ts";
import { formatRef, type ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { domainKey } from "../model/virtual-host.ts";

/** A VirtualService's claim to a domain. */
export type Claimant = Pick<Resource<"VirtualService">, "key" | "ref" | "createdAt">;

/**
 * What a VirtualService without a virtual host claims. Gloo serves one without routes for it, under every name; here only where nobody
 * else has all names, and one of them only.
 */
export const leftOver = "* that nobody claims";

/** The domains that a VirtualService claims, each once and by its key; `*` when it names none. */
export function claimedDomains({ spec }: Resource<"VirtualService">): readonly string[] {
  if (spec === undefined) return [];
  if (spec.virtualHost === undefined) return [leftOver];
  return spec.virtualHost.domains.length === 0 ? ["*"] : [...new Set(spec.virtualHost.domains.map(domainKey))];
}

/** The one that keeps a domain: who has it now, else the oldest, else the first by namespace and name. */
export function keeperOf(claimants: readonly Claimant[], incumbent?: ResourceKey): Claimant | undefined {
  const holder = claimants.find((each) => each.key === incumbent);
  return holder ?? [...claimants].sort(byAge)[0];
}

function byAge(a: Claimant, b: Claimant): number {
  const [x, y] = [a.createdAt ?? "", b.createdAt ?? ""];
  if (x !== y) return x === "" ? 1 : y === "" ? -1 : x < y ? -1 : 1;
  return a.key < b.key ? -1 : 1;
}

export interface DomainVerdict {
  /** Domains that the VirtualService does not get, by their keys. */
  readonly lost: ReadonlySet<string>;
  readonly problems: readonly Problem[];
}

/**
 * What one VirtualService keeps of its domains on one Gateway. `claimantsOf` answers from an index by (Gateway, domain), so that
 * a change touches only those who share a domain with it.
 */
export function judgeDomains(
  virtualService: Resource<"VirtualService">,
  claimantsOf: (domain: string) => readonly Claimant[],
  incumbentOf: (domain: string) => ResourceKey | undefined = () => undefined,
): DomainVerdict {
  const report = new Report(virtualService.key);
  const spelled = virtualService.spec?.virtualHost?.domains ?? [];
  const written = spelled.map(domainKey);
  const lost = new Set<string>();
  for (const domain of claimedDomains(virtualService)) {
    if (domain === leftOver) {
      const isFirst = keeperOf(claimantsOf(leftOver))?.key === virtualService.key;
      if (!isFirst || claimantsOf("*").length > 0) lost.add("*");
      continue;
    }
    const i = written.indexOf(domain);
    const shown = spelled[i] ?? domain;
    const path = i < 0 ? "virtualHost.domains" : `virtualHost.domains[${i}]`;
    if (domain === "") {
      lost.add(domain);
      const reason = `virtual host ${formatRef(virtualService.ref)} has an empty domain`;
      report.error("DomainEmpty", reason, { path, costs: "domain", statusText: `VirtualHost Error: EmptyDomainError. Reason: ${reason}` });
      continue;
    }
    if (written.indexOf(domain, i + 1) > i && i >= 0)
      report.error("DomainConflict", conflict([shown], [formatRef(virtualService.ref)]), {
        path: `virtualHost.domains[${written.indexOf(domain, i + 1)}]`,
        costs: "nothing",
        hint: "this VirtualService names the domain twice; one is enough",
      });
    const claimants = claimantsOf(domain);
    const others = claimants.filter((each) => each.key !== virtualService.key).map((each) => formatRef(each.ref));
    if (others.length === 0) continue;
    const keeper = keeperOf(claimants, incumbentOf(domain));
    const keeps = keeper?.key === virtualService.key;
    if (!keeps) lost.add(domain);
    const message = written.length === 0 ? starConflict(others) : conflict([shown], others);
    report.error("DomainConflict", message, {
      path,
      costs: keeps ? "nothing" : "domain",
      elsewhere: true,
      hint: keeps ? "this one keeps serving it" : `${keeper ? formatRef(keeper.ref) : "another"} serves it; remove it here or there`,
    });
  }
  return { lost, problems: report.problems };
}

function conflict(domains: readonly string[], others: readonly string[]): string {
  return `domain conflict: the [${domains.join(" ")}] domain is present in other virtual services that belong to the same Gateway as this one: [${others.join(" ")}]`;
}

function starConflict(others: readonly string[]): string {
  return `domain conflict: other virtual services that belong to the same Gateway as this one don't specify a domain (and thus default to '*'): [${others.join(" ")}]`;
}

/** The domains with several claims as they are spelled, for the Gateway's own finding; also one that a VirtualService repeats. */
export function sharedDomains(virtualServices: readonly Resource<"VirtualService">[]): readonly string[] {
  const spellings = new Map<string, string[]>();
  for (const { spec } of virtualServices) {
    if (spec?.virtualHost === undefined) continue;
    const { domains } = spec.virtualHost;
    for (const domain of domains.length === 0 ? ["EMPTY_DOMAIN"] : domains) {
      const known = spellings.get(domainKey(domain));
      if (known === undefined) spellings.set(domainKey(domain), [domain]);
      else known.push(domain);
    }
  }
  return [...spellings.values()].filter(({ length }) => length > 1).map(([first = ""]) => first);
}

/** What a Gateway says of conflicts among its VirtualServices. `shared` are the domains with several claims. */
export function gatewayDomainProblems(gateway: Resource<"Gateway">, shared: readonly string[]): readonly Problem[] {
  if (shared.length === 0) return [];
  const report = new Report(gateway.key);
  report.error(
    "GatewayDomainConflict",
    `domain conflict: the following domains are present in more than one of the virtual services associated with this gateway: [${[...shared].sort().join(" ")}]`,
    { costs: "nothing", elsewhere: true, hint: "the VirtualServices that share them say where" },
  );
  return report.problems;
}

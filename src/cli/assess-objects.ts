// What of the objects of a Gloo installation runs: the findings of `check`, counted by kind and grouped by what is to be done. Pure.
import { discoveredUpstreams, plainSpec } from "../admin/views.ts";
import type { Finding, Translation } from "../control-plane.ts";
import { type CatalogEntry, catalog } from "../model/catalog.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import { type ApiKind, kinds, type Resource } from "../model/resource.ts";
import { type Note, notesOnSettings } from "./assess-settings.ts";

export interface Assessment {
  /** Those with errors of which somebody else, Gloo as a rule, has stored the same verdict. */
  readonly rejectedBefore: ReadonlySet<ResourceKey>;
  readonly kinds: readonly KindTally[];
  readonly topics: readonly Topic[];
  readonly notes: readonly Note[];
}

export interface KindTally {
  readonly kind: ApiKind;
  readonly total: number;
  readonly asIs: number;
  readonly withWarning: number;
  /** Wholly or in part: what is broken in it is left out. */
  readonly notInService: number;
}

/** Findings with one cause. */
export interface Topic {
  readonly code: string;
  readonly reason: string;
  readonly severity: "error" | "warning";
  readonly title: string;
  readonly advice: string;
  readonly isEnterprise: boolean;
  readonly findings: readonly Finding[];
}

export function assessObjects(translation: Translation, findings: readonly Finding[]): Omit<Assessment, "rejectedBefore"> {
  const own = findings.filter(({ problem }) => problem.repeats === undefined && problem.reason !== "ForeignKind");
  const resources = [...translation.resources.values()].filter(isOurs);
  return {
    kinds: tallies(resources, own),
    topics: topicsOf(own),
    notes: [
      ...resources.flatMap(notesOn),
      ...notesOnKinds(resources),
      ...notesOnDiscovery(resources, translation),
      ...notesOnForeign(findings),
    ],
  };
}

/** Secrets and Artifacts are Kubernetes' own, and what discovery makes was written by nobody. */
function isOurs({ kind, origin }: Resource): boolean {
  return kind in kinds && kind !== "Secret" && kind !== "Artifact" && origin.source !== "discovery";
}

function tallies(resources: readonly Resource[], findings: readonly Finding[]): KindTally[] {
  const worst = new Map<ResourceKey, "error" | "warning">();
  for (const { problem } of findings)
    if (problem.resource && worst.get(problem.resource) !== "error") worst.set(problem.resource, problem.severity);
  return (Object.keys(kinds) as ApiKind[]).flatMap((kind) => {
    const all = resources.filter((each) => each.kind === kind);
    if (all.length === 0 || kind === "Proxy") return [];
    const count = (severity: "error" | "warning") => all.filter(({ key }) => worst.get(key) === severity).length;
    const notInService = kind === "RateLimitConfig" ? all.length : count("error");
    const withWarning = kind === "RateLimitConfig" ? 0 : count("warning");
    return [{ kind, total: all.length, asIs: all.length - withWarning - notInService, withWarning, notInService }];
  });
}

const enterpriseReasons = ["EnterpriseOnly", "GcpIdentity", "AiProvider", "HostHealthCheckUnsupported"];

/** Worst first, then by how often. */
function topicsOf(findings: readonly Finding[]): Topic[] {
  const groups = Map.groupBy(findings, ({ problem }) => `${problem.severity} ${problem.reason}`);
  const topics = [...groups.values()].map((group): Topic => {
    const { code, reason, severity } = (group[0] as Finding).problem;
    const entry: CatalogEntry | undefined = catalog[reason as keyof typeof catalog];
    const isEnterprise = enterpriseReasons.includes(reason) || group.every(({ problem }) => /enterprise/i.test(problem.message));
    return { code, reason, severity, title: entry?.title ?? reason, advice: entry?.help ?? "", isEnterprise, findings: group };
  });
  const rank = ({ severity }: Topic) => (severity === "error" ? 0 : 1);
  return topics.sort((a, b) => rank(a) - rank(b) || b.findings.length - a.findings.length || (a.code < b.code ? -1 : 1));
}

/** Kinds that somebody else reads, or nobody: one note for all objects of a kind. */
const notesOfKinds: Partial<Record<ApiKind, Omit<Note, "subject">>> = {
  AuthConfig: {
    what: "are read by Solo's auth server, which is part of the enterprise edition; here Envoy itself makes some of their checks",
    advice:
      "apiKeyAuth, passThroughAuth and oauth2.accessTokenValidation.jwt work; of others a finding says what to do instead: mostly a server of your own, which passThroughAuth names",
    weight: "differs",
    isEnterprise: true,
  },
  RateLimitConfig: {
    what: "are read by Solo's rate limit server only, which is part of the enterprise edition",
    advice:
      "any server of Envoy's rate limit service works: ratelimitServer in Settings and ratelimit.rateLimits on routes; or localRatelimit without one",
    weight: "blocks",
    isEnterprise: true,
  },
  Proxy: {
    what: "were computed by Gloo; Headworks computes its own and reads none",
    advice: "delete them when Gloo is gone",
    weight: "info",
  },
};

function notesOnKinds(resources: readonly Resource[]): Note[] {
  return (Object.keys(notesOfKinds) as ApiKind[]).flatMap((kind) => {
    const names = resources.filter((each) => each.kind === kind).map(({ ref }) => `${ref.namespace}/${ref.name}`);
    const shown = names.length > 5 ? `${names.slice(0, 5).join(", ")} and ${names.length - 5} more` : names.join(", ");
    return names.length === 0 ? [] : [{ subject: `${kinds[kind].plural} ${shown}`, ...(notesOfKinds[kind] as Omit<Note, "subject">) }];
  });
}

function notesOn(resource: Resource): Note[] {
  return resource.kind === "Settings" ? notesOnSettings(resource.ref, plainSpec(resource)) : [];
}

/** Gloo marks what its discovery has written. */
function notesOnDiscovery(resources: readonly Resource[], translation: Translation): Note[] {
  const written = resources.filter(({ kind, labels }) => kind === "Upstream" && "discovered_by" in labels);
  const settings = resources.find(({ kind, ref }) => kind === "Settings" && ref.name === "default") as Resource<"Settings"> | undefined;
  const isOn = settings?.spec?.discovery?.udsOptions?.enabled;
  if (written.length === 0 || isOn === true) return [];
  const others = discoveredUpstreams(translation).length;
  return [
    {
      subject: `${written.length} Upstreams that Gloo's discovery has written`,
      what:
        isOn === false
          ? "stay as they are, as with Gloo: discovery.udsOptions.enabled is false"
          : `stay and are served, but are not kept up with their Services: discovery.udsOptions.enabled is not set, which was "on" for Gloo`,
      advice:
        isOn === false
          ? "nothing has to be done"
          : `set discovery.udsOptions.enabled: true in Settings to have them kept up; without it${others > 0 ? ` (${others} more are known already)` : ""}, Services are destinations without being written as Upstreams`,
      weight: isOn === false ? "info" : "differs",
    },
  ];
}

function notesOnForeign(findings: readonly Finding[]): Note[] {
  const foreign = findings.filter(({ problem }) => problem.reason === "ForeignKind").length;
  return foreign === 0
    ? []
    : [{ subject: `${foreign} objects of other kinds`, what: "are none of Gloo's API and were not looked at", weight: "info" }];
}

/** `VirtualService shop/pets` */
export function subjectOf(key: ResourceKey): string {
  const { kind, ref } = parseResourceKey(key);
  return `${kind} ${ref.namespace}/${ref.name}`;
}

export function summaryOf({ kinds, topics, notes, rejectedBefore }: Assessment) {
  const enterprise = topics.filter(({ isEnterprise }) => isEnterprise).reduce((all, { findings }) => all + findings.length, 0);
  return {
    resources: sum(kinds, "total"),
    asIs: sum(kinds, "asIs"),
    withWarning: sum(kinds, "withWarning"),
    notInService: sum(kinds, "notInService"),
    rejectedBefore: rejectedBefore.size,
    enterprise: enterprise + notes.filter(({ isEnterprise }) => isEnterprise).length,
  };
}

function sum(tallies: readonly KindTally[], field: "total" | "asIs" | "withWarning" | "notInService"): number {
  return tallies.reduce((all, each) => all + each[field], 0);
}

export function wasRejected({ problem }: Finding, { rejectedBefore }: Assessment): boolean {
  return problem.resource !== undefined && rejectedBefore.has(problem.resource);
}

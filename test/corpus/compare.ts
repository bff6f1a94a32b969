// How a translation is compared with what Gloo Edge 1.22 made of the same case; the rules are those of the corpus's own comparer.
//
// A state agrees when it is Gloo's own or the worst of Gloo's own and its subresources'. Gloo's own HTTP filters (io.solo.*) and
// empty values are left out on both sides, resources are matched by name, unordered lists are sorted. Only what Gloo's answer
// names is compared; extra clusters count as differences.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";

export interface ExpectedStatus {
  readonly state?: string;
  readonly reason?: string;
  readonly subresources?: Readonly<Record<string, { readonly state?: string } | null>>;
}

export interface Expectation {
  readonly statuses?: Readonly<Record<string, ExpectedStatus | null>>;
  readonly clusters?: readonly JsonObject[];
  readonly endpoints?: readonly JsonObject[];
  readonly listeners?: readonly JsonObject[];
  readonly routes?: readonly JsonObject[];
  readonly afterApply?: { readonly upstreams?: readonly JsonObject[] };
  /** What the API server did not let in, by kind, namespace and name. */
  readonly apiServerRejected?: Readonly<Record<string, object>>;
}

/** What `translate -o json` prints. */
export interface Output {
  readonly statuses: Readonly<Record<string, { readonly state: string; readonly reason: string }>>;
  readonly clusters: readonly JsonObject[];
  readonly endpoints: readonly JsonObject[];
  readonly listeners: readonly JsonObject[];
  readonly routes: readonly JsonObject[];
  readonly discovered?: readonly JsonObject[];
}

export const aspects = ["states", "clusters", "endpoints", "listeners", "routes", "discovered"] as const;
export type Aspect = (typeof aspects)[number];

export interface Difference {
  readonly aspect: Aspect;
  readonly text: string;
}

/** An empty list when all agrees. */
export function differences(expected: Expectation, got: Output, only: readonly Aspect[] = aspects): readonly Difference[] {
  const found: Difference[] = [];
  if (only.includes("states")) found.push(...stateDifferences(expected.statuses ?? {}, got.statuses));
  for (const aspect of ["clusters", "endpoints", "listeners", "routes"] as const) {
    if (only.includes(aspect))
      found.push(...resourceDifferences(aspect, expected[aspect], got[aspect], aspect === "clusters" ? "whole where told" : "part"));
  }
  const discovered = expected.afterApply?.upstreams;
  if (discovered && only.includes("discovered")) found.push(...resourceDifferences("discovered", discovered, got.discovered, "whole"));
  return found;
}

function stateDifferences(expected: NonNullable<Expectation["statuses"]>, got: Output["statuses"]): Difference[] {
  return Object.entries(expected).flatMap(([key, status]) => {
    if (!status?.state) return [];
    const { state, reason = "" } = got[key] ?? {};
    if (state === status.state || state === worst(status)) return [];
    const theirs = (status.reason ?? "").replaceAll("\n", " ").slice(0, 140);
    return [{ aspect: "states", text: `${key}: Gloo ${status.state} (${theirs}) | here ${state} (${reason.slice(0, 160)})` }];
  });
}

const severity = ["Pending", "Accepted", "Warning", "Rejected"];

function worst({ state = "", subresources = {} }: ExpectedStatus): string {
  const all = [state, ...Object.values(subresources).map((each) => each?.state ?? "")];
  return all.reduce((a, b) => (severity.indexOf(b) > severity.indexOf(a) ? b : a));
}

function resourceDifferences(
  aspect: Aspect,
  expected: readonly JsonObject[] | undefined,
  got: readonly JsonObject[] | undefined,
  told: "whole" | "whole where told" | "part",
): Difference[] {
  const want = byName(expected);
  const have = byName(got);
  const found: Difference[] = [];
  for (const [name, value] of want) {
    const texts = have.has(name) ? firstDifferences(value, have.get(name)) : ["missing"];
    if (texts.length > 0) found.push({ aspect, text: `${name} ${texts.join(" ; ")}` });
  }
  const isWhole = told === "whole" || (told === "whole where told" && want.size > 0);
  if (isWhole) for (const name of have.keys()) if (!want.has(name)) found.push({ aspect, text: `${name} is extra` });
  return found;
}

type Normal = JsonValue | undefined;

function byName(list: readonly JsonObject[] | undefined): Map<string, Normal> {
  return new Map((list ?? []).map((each) => [nameOf(each), normal(each)]));
}

function nameOf(resource: JsonObject): string {
  const name = resource.name ?? resource.clusterName;
  if (typeof name === "string") return withoutHash(name);
  const { namespace, name: own } = (resource.metadata ?? {}) as JsonObject;
  return `${namespace}/${own}`;
}

/** Gloo's names of endpoints carry a hash of the Upstream. */
const withoutHash = (name: string): string => name.replace(/^(.+_.+?)-[0-9]{12,20}$/, "$1");
const sortedBy: Readonly<Record<string, string>> = { virtualHosts: "name", filterChains: "name", transportSocketMatches: "name" };
const isGloosOwn = (name: unknown): boolean => typeof name === "string" && name.startsWith("io.solo.");

function normal(value: JsonValue, key = ""): Normal {
  if (Array.isArray(value)) {
    const kept = value.filter((each) => !(key === "httpFilters" && isGloosOwn((each as JsonObject | null)?.name)));
    const list = kept.map((each) => normal(each)).filter((each) => each !== undefined);
    const by = sortedBy[key];
    if (by) list.sort((a, b) => String((a as JsonObject)[by]).localeCompare(String((b as JsonObject)[by])));
    return list.length > 0 ? list : undefined;
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value)
      .filter(([name]) => !(key === "typedPerFilterConfig" && isGloosOwn(name)))
      .map(([name, each]) => [name, normal(each, name)] as const)
      .filter(([, each]) => each !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.length > 0 ? (Object.fromEntries(entries) as JsonObject) : undefined;
  }
  if (typeof value === "string") return withoutHash(value) || undefined;
  return value ?? undefined;
}

const mostTexts = 4;

function firstDifferences(want: Normal, got: Normal, path = "", out: string[] = []): string[] {
  if (out.length >= mostTexts || JSON.stringify(want) === JSON.stringify(got)) return out;
  if (isObject(want) && isObject(got)) {
    for (const key of new Set([...Object.keys(want), ...Object.keys(got)])) firstDifferences(want[key], got[key], `${path}.${key}`, out);
  } else if (Array.isArray(want) && Array.isArray(got) && want.length === got.length) {
    for (const [i, each] of want.entries()) firstDifferences(each, got[i], `${path}[${i}]`, out);
  } else out.push(`${path || "."}: Gloo ${short(want)} | here ${short(got)}`);
  return out;
}

const isObject = (value: Normal): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);
const short = (value: Normal): string => String(JSON.stringify(value)).slice(0, 160);

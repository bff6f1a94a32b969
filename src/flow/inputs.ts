// What enters the graph from outside, by kind.
import type { FoundSpec } from "../discovery/overlay.ts";
import type { Graph, Index, Input } from "../graph/mod.ts";
import type { Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { type ApiKind, type Kind, type KubeKind, kinds, kubeKinds, type Resource } from "../model/resource.ts";
import type { Endpoint } from "../plugin/upstream-type.ts";
import type { Refused } from "./refusals.ts";

export const apiKinds = Object.keys(kinds) as readonly ApiKind[];
export const allKinds: readonly Kind[] = [...apiKinds, ...kubeKinds];

/** A value for each kind, typed by kind. */
export type ByKind<T extends { [K in Kind]: unknown }> = { readonly [K in Kind]: T[K] };

export interface Inputs {
  /** As the sources deliver them. */
  readonly given: { readonly [K in Kind]: Input<Resource<K>> };
  /** The last version of each that was good; read only where the newest is not. */
  readonly lastGood: { readonly [K in Kind]: Input<Resource<K>> };
  /** What Envoy refused, by key of the resource to blame. */
  readonly refused: Input<Refused>;
  /** Addresses that types look up in the world outside, by key of the Upstream. */
  readonly addresses: Input<readonly Endpoint[]>;
  /** Addresses of the host names that endpoints asked for. Empty: nothing is known of them. */
  readonly names: Input<readonly string[]>;
  /** Functions that were found for Upstreams which nobody has written, by key. */
  readonly functions: Input<KnownFunctions>;
  /** Findings of what talks to the world outside, and warnings of the embedded data plane, by `<reporter> <resource key>`. */
  readonly outside: Input<OutsideFinding>;
  readonly outsideByResource: Index<OutsideFinding>;
}

export interface KnownFunctions {
  readonly spec: FoundSpec;
  /** Found before a restart, for this version of the Upstream. */
  readonly ofVersion?: string;
}

export interface OutsideFinding {
  readonly resource: ResourceKey;
  readonly problems: readonly Problem[];
}

export function createInputs(graph: Graph): Inputs {
  const outside = graph.input<OutsideFinding>("outside findings", { equals: sameJson });
  return {
    given: byKind((kind) => graph.input<Resource>(`given ${kind}`, { equals: sameResource })) as Inputs["given"],
    lastGood: byKind((kind) => graph.input<Resource>(`last good ${kind}`, { equals: sameResource })) as Inputs["lastGood"],
    refused: graph.input<Refused>("refused", { equals: sameJson }),
    addresses: graph.input<readonly Endpoint[]>("addresses", { equals: sameJson }),
    names: graph.input<readonly string[]>("names", { equals: sameJson }),
    functions: graph.input<KnownFunctions>("functions", { equals: (a, b) => a.spec === b.spec && a.ofVersion === b.ofVersion }),
    outside,
    outsideByResource: outside.index("by resource", (finding) => [finding.resource]),
  };
}

export function byKind<T>(make: (kind: Kind) => T): Record<Kind, T> {
  return Object.fromEntries(allKinds.map((kind) => [kind, make(kind)])) as Record<Kind, T>;
}

/** Equal content from the same place: nothing that is made from it can differ. */
export function sameResource(a: Resource, b: Resource): boolean {
  return (
    a.version === b.version &&
    a.isStale === b.isStale &&
    (a.spec === undefined) === (b.spec === undefined) &&
    a.origin.file === b.origin.file &&
    a.origin.document === b.origin.document &&
    a.origin.source === b.origin.source &&
    a.createdAt === b.createdAt &&
    (a.problems === b.problems || sameJson(a.problems, b.problems))
  );
}

export function sameJson(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((each) => each.severity === "error");
}

/** The kinds that users see a status on. */
export type StatusKind = Exclude<ApiKind, "Secret" | "Artifact" | "Settings">;
export type { KubeKind };

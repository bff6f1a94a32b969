// What the admin API answers: the types of its JSON, for the dashboard, the CLI and anybody's scripts. Only ever added to;
// what must change in meaning gets a new `schemaVersion`.
import type { Severity } from "../model/problem.ts";
import type { State } from "../model/status.ts";

export const schemaVersion = 1;

export interface ResourceList {
  readonly schemaVersion: typeof schemaVersion;
  readonly items: readonly ResourceView[];
}

/** A resource in the form of a Kubernetes object, whatever it was read from. Secrets are blanked. */
export interface ResourceView {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly creationTimestamp?: string;
  };
  readonly spec?: unknown;
  /** Gloo's form: by the namespace of the one who reports. */
  readonly status?: { readonly statuses: Readonly<Record<string, StatusView>> };
  /** Where it was read: `files`, and the file's name. */
  readonly origin: { readonly source: string; readonly file?: string };
  /** The newest version could not be read; this is the last that could. */
  readonly isStale?: true;
}

export interface StatusView {
  readonly state: State;
  readonly reason: string;
  readonly reportedBy: string;
  readonly subresourceStatuses?: Readonly<Record<string, Omit<StatusView, "subresourceStatuses">>>;
}

export interface StatusList {
  readonly schemaVersion: typeof schemaVersion;
  /** By `Kind namespace/name`. */
  readonly statuses: Readonly<Record<string, StatusView>>;
}

export interface FindingList {
  readonly schemaVersion: typeof schemaVersion;
  readonly findings: readonly FindingView[];
}

export interface FindingView {
  readonly severity: Severity;
  /** Stable: `HW1003`. */
  readonly code: string;
  /** Stable: `UnknownField`. */
  readonly reason: string;
  readonly message: string;
  readonly hint?: string;
  readonly resource?: { readonly kind: string; readonly namespace: string; readonly name: string };
  /** In the resource: `virtualHost.routes[2].options.timeout`. */
  readonly path?: string;
  readonly place?: { readonly file: string; readonly line: number; readonly column: number; readonly endColumn?: number };
}

export interface SourceList {
  readonly schemaVersion: typeof schemaVersion;
  readonly sources: readonly SourceView[];
}

/** Where configuration comes from, and how that is doing. */
export interface SourceView {
  readonly name: string;
  /** `starting`: nothing was read yet. `partly`: some kinds cannot be read. `unreachable`: what was read until then is served. */
  readonly state: "starting" | "following" | "partly" | "unreachable";
  /** ISO 8601; absent where a source is always there. */
  readonly since?: string;
  readonly faults: readonly string[];
}

export interface ProxyList {
  readonly schemaVersion: typeof schemaVersion;
  readonly proxies: readonly ProxyView[];
}

/** One Envoy's configuration, in numbers. */
export interface ProxyView {
  /** `gloo-system~gateway-proxy`, as in Envoy's `node.metadata.role`. */
  readonly key: string;
  readonly clusters: number;
  readonly endpoints: number;
  readonly listeners: number;
  readonly routes: number;
}

/** The parts of a proxy's configuration that have a page each: `/api/v1/proxies/KEY/clusters`. */
export const envoyKinds = ["clusters", "endpoints", "listeners", "routes"] as const;
export type EnvoyKind = (typeof envoyKinds)[number];

export interface EnvoyResourceList {
  readonly schemaVersion: typeof schemaVersion;
  readonly proxy: string;
  /** Proto-JSON of Envoy's own messages, ordered by name. */
  readonly resources: readonly { readonly name: string; readonly version: string; readonly resource: unknown }[];
}

export interface ClientList {
  readonly schemaVersion: typeof schemaVersion;
  readonly clients: readonly unknown[];
}

/** Server-sent events of `/api/v1/events`. The first one tells how things are now. */
export type AdminEvent =
  | { readonly kind: "state"; readonly isReady: boolean; readonly resources: number; readonly errors: number; readonly warnings: number }
  | {
      readonly kind: "batch";
      /** `Kind namespace/name` of what was applied or deleted. */
      readonly changed: readonly string[];
      readonly appeared: readonly FindingView[];
      readonly resolved: readonly FindingView[];
      /** Those whose newest version is not in service, and an older one is. */
      readonly keptLastGood: readonly string[];
      readonly milliseconds: number;
    };

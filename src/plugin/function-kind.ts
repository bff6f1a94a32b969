// The contract of a kind of functions: how one finds out what a service offers, so that routes can name it. Like a type of Upstreams,
// a kind is one exported value; it does the asking, and nothing else:
//
// - When and whom to ask (modes, labels, schedule, budgets) is the runner's: discovery/functions.ts.
// - What is found becomes a `serviceSpec`, or fills one that the user began; nothing a user wrote is overwritten. That is pure:
//   discovery/overlay.ts.
// - How a route calls a function is a feature's: `calls` and `destination` of feature.ts.
//
// A peer may be hostile or slow (reliability.md §3.7): a kind bounds what it reads in bytes, items and time, talks to no address but
// the one it is given, and reads nothing that a document refers to elsewhere.
import type { ServiceSpec } from "../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import type { Resource } from "../model/resource.ts";

/** The service behind an Upstream, as one can dial it. Its address has been judged: it may be asked. */
export interface FunctionTarget {
  readonly upstream: Resource<"Upstream">;
  /** An IP address, or the path of a Unix socket (then `port` is undefined). */
  readonly address: string;
  readonly port?: number;
  /** `till.shop:8080`: what the Upstream calls it, for Host headers and URLs. */
  readonly authority: string;
  /** TLS is spoken; as the proxies do, it is verified where there is a CA. */
  readonly tls?: { readonly sni?: string; readonly ca?: string; readonly cert?: string; readonly key?: string };
}

export interface FoundFunctions {
  /** What is known now, whole. */
  readonly spec: ServiceSpec;
  /** How many functions there are, for the log. */
  readonly count: number;
  /** What was left out, and why; for the user. */
  readonly leftOut: readonly string[];
  /** Whatever helps to ask more cheaply the next time: an ETag, a path. Handed back as it is. */
  readonly memo?: unknown;
}

export interface FunctionProbe {
  readonly target: FunctionTarget;
  /** The user's beginning of a spec, where there is one: `swaggerInfo` with the place of the document. */
  readonly begun: ServiceSpec | undefined;
  /** Of the last answer for this Upstream. */
  readonly memo: unknown;
  readonly signal: AbortSignal;
}

/** `unchanged`: the same as before. `absent`: somebody answered, and is no such service. An outage is thrown. */
export type FunctionAnswer =
  | { readonly kind: "found"; readonly found: FoundFunctions }
  | { readonly kind: "unchanged" }
  | { readonly kind: "absent" };

export interface FunctionKind {
  /** The name of its folder: `swagger`, `grpc`. */
  readonly kind: string;
  /** Pure. Whether a spec that a user began is one for this kind to complete. */
  readonly completes: (spec: ServiceSpec) => boolean;
  /** How long an answer is good for. */
  readonly refreshMs: number;
  /** Edge. One question, answered within the bounds above. */
  readonly ask: (probe: FunctionProbe) => Promise<FunctionAnswer>;
}

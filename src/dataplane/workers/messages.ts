// What the main process and its workers say to one another.
import type { EnvoyResource, RefusedResource, ResourceChanges } from "../../model/envoy-resource.ts";
import type { Problem } from "../../model/problem.ts";
import type { ListenAddress } from "../compile/listener.ts";
import type { ListenerInfo } from "../listening-sockets.ts";

/** Asked of workers, with what they answer. */
export interface Questions {
  apply: { readonly asks: ResourceChanges; readonly answer: readonly RefusedResource[] };
  check: { readonly asks: EnvoyResource; readonly answer: string | undefined };
  settled: { readonly asks: undefined; readonly answer: undefined };
  stats: { readonly asks: undefined; readonly answer: Readonly<Record<string, number>> };
  listeners: { readonly asks: undefined; readonly answer: readonly ListenerInfo[] };
}

export type Question = {
  [Kind in keyof Questions]: { readonly kind: Kind; readonly id: number; readonly asks: Questions[Kind]["asks"] };
}[keyof Questions];

export type ToWorker =
  | Question
  /** With the handle of the socket. */
  | { readonly kind: "bound"; readonly socket: number }
  | { readonly kind: "notBound"; readonly socket: number; readonly code: string; readonly message: string }
  | { readonly kind: "drain"; readonly graceMs: number };

export type FromWorker =
  | { readonly kind: "started" }
  | { readonly kind: "answer"; readonly id: number; readonly answer: unknown }
  /** The worker wants to accept connections there. */
  | { readonly kind: "listen"; readonly socket: number; readonly address: ListenAddress }
  | { readonly kind: "release"; readonly address: ListenAddress }
  | { readonly kind: "log"; readonly level: "info" | "warn" | "error"; readonly message: string }
  | { readonly kind: "problems"; readonly problems: readonly Problem[] };

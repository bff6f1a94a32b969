// The contract of a kind of check of an AuthConfig.
import type { packAny } from "../../envoy/encode.ts";
import type { Ref } from "../../model/ref.ts";
import type { AuthConfigFault, OptionContext } from "../../plugin/feature.ts";
import type { Server } from "./servers.ts";

/** A filter of Envoy, for a chain. */
export type Filter = ReturnType<typeof packAny>;

/** Where a check is written. */
export interface Written {
  readonly ref: Ref;
  /** Its place among the configs of the AuthConfig. */
  readonly at: number;
}

export interface CheckKind<C> {
  /** A field that cannot be done, and what to do instead; undefined where all of it can. Its path is below the kind. */
  readonly fault: (config: C) => AuthConfigFault | undefined;
  /** How many filters there will be. */
  readonly count: (config: C) => number;
  readonly filters: (config: C, written: Written, context: Pick<OptionContext, "world" | "warn">) => readonly Filter[];
  /** Whom it asks. */
  readonly server?: (config: C) => Server | undefined;
  /** Headers by which Upstreams are told who it is: nobody else may send them. */
  readonly tells: (config: C) => readonly string[];
}

export const ownServer = "name a server of your own in passThroughAuth";

/** @param path "": the whole of it */
export function faultAt(path: string, message: string, hint?: string): AuthConfigFault {
  return { path, message, ...(hint !== undefined && { hint }) };
}

export function below(field: string, fault: AuthConfigFault): AuthConfigFault {
  return { ...fault, path: fault.path === "" ? field : `${field}.${fault.path}` };
}

export function textOf({ path, message, hint }: AuthConfigFault): string {
  return `${path}: ${message}${hint === undefined ? "" : `; ${hint}`}`;
}

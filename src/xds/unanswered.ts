// Responses that a client has not answered yet, in the order in which they were sent: what follows from it when some are refused.
import type { EnvoyResource } from "../model/envoy-resource.ts";

/** In place of a version: the client has some version of this name, or none. No resource has it. */
export const doubtful = "";

export interface Change {
  readonly resource: EnvoyResource;
  /** What the client had of this name. */
  before: string | undefined;
}

/** A response that was sent and is not answered yet. */
export interface Unanswered {
  readonly nonce: string;
  /** Of the set that the client has when it takes this. */
  readonly version: string;
  /** `performance.now()`: clocks on walls jump. */
  readonly since: number;
  readonly changed: readonly Change[];
  readonly removed: readonly { readonly name: string; before: string | undefined }[];
  /** Repeated from responses before it that were refused: where responses are whole sets, it may be refused for the same reason. */
  suspects: readonly EnvoyResource[];
}

/** What is refused: one response, or several that the client answers together. */
export type Refused = Pick<Unanswered, "changed" | "removed" | "suspects"> & { readonly nonces: readonly string[] };

export function isNew(before: string | undefined): boolean {
  return before === undefined || before === doubtful;
}

/** Several responses as if they had been one. */
export function together(responses: readonly Unanswered[]): Refused {
  const changed = new Map<string, Unanswered["changed"][number]>();
  const removed = new Map<string, Unanswered["removed"][number]>();
  for (const response of responses) {
    for (const { name, before } of response.removed) {
      const there = changed.get(name);
      removed.set(name, { name, before: there === undefined ? before : there.before });
      changed.delete(name);
    }
    for (const { resource, before } of response.changed) {
      const { name } = resource;
      const there = changed.get(name) ?? removed.get(name);
      changed.set(name, { resource, before: there === undefined ? before : there.before });
      removed.delete(name);
    }
  }
  return {
    nonces: responses.map(({ nonce }) => nonce),
    changed: [...changed.values()],
    removed: [...removed.values()],
    suspects: responses.flatMap(({ suspects }) => suspects),
  };
}

/** What was sent since was sent on top of what the client did not take. */
export function rebase(since: readonly Unanswered[], { changed, removed }: Refused, culprits: readonly EnvoyResource[]): void {
  if (since.length === 0) return;
  const had = new Map<string, { readonly version: string | undefined; readonly before: string | undefined }>();
  for (const { name } of removed) had.set(name, { version: undefined, before: doubtful });
  for (const { resource, before } of changed) {
    had.set(resource.name, { version: resource.version, before: culprits.includes(resource) ? before : doubtful });
  }
  const takePlace = (name: string, entry: { before: string | undefined }) => {
    const refused = had.get(name);
    if (refused !== undefined && refused.version === entry.before) entry.before = refused.before;
    had.delete(name);
  };
  for (const later of since) {
    for (const entry of later.changed) takePlace(entry.resource.name, entry);
    for (const entry of later.removed) takePlace(entry.name, entry);
  }
}

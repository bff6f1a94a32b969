// The data centres whose instances count: those that the Settings list, else all that Consul knows.
import { setTimeout as delay } from "node:timers/promises";
import { MassDeleteGuard } from "../../lib/mass-delete-guard.ts";
import type { ConsulClient } from "./client.ts";
import { ConsulError } from "./consulError.ts";
import { backoffMs, plainDeadlineMs } from "./watch.ts";

const everyMs = 60_000;

export interface DataCentresOptions {
  readonly signal: AbortSignal;
  readonly onFault: (fault: ConsulError | undefined) => void;
}

/** Yields a first list and each new one, in order of name. */
export async function* followDataCentres(
  client: ConsulClient,
  allowed: readonly string[],
  { signal, onFault }: DataCentresOptions,
): AsyncGenerator<readonly string[]> {
  if (allowed.length > 0) {
    yield [...new Set(allowed)].sort();
    return;
  }
  // A data centre that cannot be reached is not one that has been given up, so a list without it must stand for a while.
  const guard = new MassDeleteGuard({ holdMs: everyMs, share: 0, atLeast: 1 });
  let known: ReadonlySet<string> | undefined;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const { json } = await client.get("v1/catalog/datacenters", {}, { signal, deadlineMs: plainDeadlineMs });
      if (failures > 0) onFault(undefined);
      failures = 0;
      const next = new Set(namesOf(json));
      const isNew = known === undefined || next.size !== known.size || !next.isSubsetOf(known);
      if (isNew && guard.believes(known ?? new Set(), next, true)) {
        known = next;
        yield [...next].sort();
      }
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      onFault(error as ConsulError);
    }
    await delay(failures > 0 ? backoffMs(failures) : everyMs, undefined, { signal }).catch(() => undefined);
  }
}

function namesOf(json: unknown): string[] {
  const names = Array.isArray(json) ? json.filter((name) => typeof name === "string" && name !== "") : [];
  if (names.length === 0) throw new ConsulError("unusable", "answered with no list of data centres");
  return names;
}

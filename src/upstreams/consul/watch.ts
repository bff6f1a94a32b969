// Following one answer of Consul by blocking queries: https://developer.hashicorp.com/consul/api-docs/features/blocking.
import { setTimeout as delay } from "node:timers/promises";
import type { Answer, ConsulClient, Query } from "./client.ts";
import type { ConsulError } from "./consulError.ts";

export interface Read<T> {
  readonly value: T;
  readonly index: bigint;
  /** Something went wrong since the read before: what is missing in this one may not be gone. */
  readonly isSuspect: boolean;
  /** Consul has left out what our token may not see. */
  readonly isFiltered: boolean;
}

export interface Pace {
  readonly burst: number;
  readonly everyMs: number;
}

export interface FollowOptions<T> {
  /** Makes something of the answer; what it throws is a failure like any other. */
  readonly parse: (json: unknown) => T;
  readonly signal: AbortSignal;
  /** How long Consul may hold a question. */
  readonly waitMs: number;
  /** Told after each failure, and with undefined when Consul answers again. */
  readonly onFault: (fault: ConsulError | undefined) => void;
  /** How often an answer that changes all the time is read. Default: ten times at once, then four times a second. */
  readonly pace?: Pace;
  /** True while a read is not believed yet and another one is wanted soon. */
  readonly isImpatient?: () => boolean;
}

/** A question without an index is answered at once. */
export const plainDeadlineMs = 10_000;
const impatientWaitMs = 2000;

/** Yields a first answer and then each new one, until the signal aborts. An outage yields nothing. */
export async function* follow<T>(client: ConsulClient, path: string, query: Query, options: FollowOptions<T>): AsyncGenerator<Read<T>> {
  const { signal, parse, onFault, isImpatient = () => false } = options;
  const pace = paceOf(options.pace ?? { burst: 10, everyMs: 250 });
  let asked = 0n;
  let seen: Answer | undefined;
  let isSuspect = false;
  let failures = 0;
  while (!signal.aborted) {
    const waitMs = isImpatient() ? impatientWaitMs : options.waitMs;
    let answer: Answer;
    let value: T;
    try {
      answer = await ask(client, path, query, asked, waitMs, signal);
      value = parse(answer.json);
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      isSuspect = true;
      // An index from before an outage means nothing to a Consul that has lost its memory: it would wait for it.
      asked = 0n;
      onFault(error as ConsulError);
      await delay(backoffMs(failures), undefined, { signal }).catch(() => undefined);
      continue;
    }
    if (failures > 0) onFault(undefined);
    failures = 0;
    if (seen && (answer.index < seen.index || (answer.isFiltered && !seen.isFiltered))) isSuspect = true;
    if (seen === undefined || isSuspect || isImpatient() || answer.index !== seen.index || answer.index === 0n) {
      yield { value, index: answer.index, isSuspect, isFiltered: answer.isFiltered };
      isSuspect = false;
    }
    seen = answer;
    asked = answer.index;
    await delay(Math.max(pace(), asked === 0n ? 1000 : 0), undefined, { signal }).catch(() => undefined);
  }
}

function ask(client: ConsulClient, path: string, query: Query, index: bigint, waitMs: number, signal: AbortSignal): Promise<Answer> {
  if (index === 0n) return client.get(path, query, { signal, deadlineMs: plainDeadlineMs });
  // Consul adds up to a sixteenth, so that not all come back at once.
  return client.get(path, { ...query, index: String(index), wait: `${waitMs}ms` }, { signal, deadlineMs: waitMs + waitMs / 16 + 5000 });
}

/** Half of it by chance, so that many do not come back at once; at most 3 s, so that an outage is over for us soon after it is over. */
export function backoffMs(failures: number, random: () => number = Math.random): number {
  return Math.min(3000, 100 * 2 ** Math.min(failures - 1, 10)) * (0.5 + random() / 2);
}

/** What changes all the time is read at most so often; after quiet, at once. Returns how long to wait. */
export function paceOf({ burst, everyMs }: Pace, now = () => performance.now()): () => number {
  let fullAt = Number.NEGATIVE_INFINITY;
  return () => {
    fullAt = Math.max(fullAt, now() - burst * everyMs) + everyMs;
    return Math.max(0, fullAt - now());
  };
}

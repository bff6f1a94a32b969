// What a template sees while it is rendered.
import type { JsonObject, Value } from "./value.ts";

/** What functions ask the message, and what is around it. Names of headers are in lower case; all texts are bytes. */
export interface Surroundings {
  /** The first value; empty when there is none. */
  readonly header: (name: string) => string;
  readonly requestHeader: (name: string) => string;
  readonly env: (name: string) => string;
  /** Undefined when there is none. */
  readonly dynamicMetadata: (namespace: string, path: readonly string[]) => Value | undefined;
  readonly random: (pattern: string) => string;
}

export interface Scope {
  readonly around: Surroundings;
  readonly body: string;
  /** What `context()` gives. */
  readonly context: Value;
  /** Where variables are looked up: the context, if it is an object. */
  readonly root: JsonObject;
  /** Set by the template, and the loop. They come before the root. */
  readonly locals: Map<string, Value>;
  readonly extractions: ReadonlyMap<string, string>;
  readonly budget: Budget;
}

/** What one message may cost. */
export interface Budget {
  /** Rounds of loops, and items of ranges. */
  rounds: number;
  /** Bytes that are printed or repeated. */
  bytes: number;
}

export function newBudget(): Budget {
  return { rounds: 1_000_000, bytes: 33_554_432 };
}

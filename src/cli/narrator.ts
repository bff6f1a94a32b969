// What `run` and `demo` tell while they run: short lines for a person at a terminal, JSON lines (pino) for a machine.
import type { Finding } from "../control-plane.ts";
import type { BatchReport } from "../flow/batch-report.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import type { GatewayUrl } from "./gateway-urls.ts";

export interface Loaded {
  readonly resources: number;
  readonly files: number;
  /** Where they are, instead of in files. */
  readonly from?: string;
  readonly milliseconds: number;
  readonly findings: readonly Finding[];
  /** What cannot be read, and of which nothing is known from before. */
  readonly notServed: readonly ResourceKey[];
  /** Nothing is remembered over a restart. */
  readonly isForgetful: boolean;
  /** Where nothing of gloo.solo.io was found at all. */
  readonly nothingIn?: string;
}

export interface Ready {
  readonly gateways: readonly GatewayUrl[];
  /** `embedded data plane`, `Envoy (PATH)`. */
  readonly proxy: string;
  readonly admin: string | undefined;
  readonly xds: string | undefined;
  readonly watching: readonly string[];
  /** Why there is no gateway, where it is not for lack of one. */
  readonly failures?: readonly string[];
}

export interface Narrator {
  readonly log: Logger;
  /** The log level; may be set while running. */
  level: string;
  loaded(loaded: Loaded): void;
  ready(ready: Ready): void;
  /** After each batch but the first. */
  batch(report: BatchReport): void;
  /** Requests are taken elsewhere than was said before. `failures`: why there are no more: `127.0.0.1:80: EACCES`. */
  moved(gateways: readonly GatewayUrl[], failures: readonly string[]): void;
  draining(graceSeconds: number): void;
}

export interface NarratorOptions {
  readonly format: "auto" | "pretty" | "json";
  readonly level: string;
  textOf(file: string): string | undefined;
}

export const nothingFoundCure =
  "put files that end in .yaml, .yml or .json there; headworks create and headworks demo show what is in them";

/** Nothing that a person could have done or would want to know. */
export function isQuiet({ changed, appeared, resolved }: BatchReport): boolean {
  return changed.length + appeared.length + resolved.length === 0;
}

/** Loads only the one that is used. */
export async function narrator(options: NarratorOptions): Promise<Narrator> {
  const isPretty = options.format === "pretty" || (options.format === "auto" && process.stderr.isTTY);
  if (isPretty) return (await import("./narrator-pretty.ts")).prettyNarrator(options);
  return (await import("./narrator-json.ts")).jsonNarrator(options);
}

// A token bucket that fills continuously, as Envoy's: no timer, only the time when it was last looked at.

import type { TokenBucket as BucketMessage } from "../gen/envoy/envoy/type/v3/token_bucket_pb.js";
import { durationMs } from "./compile/durations.ts";

export interface BucketSettings {
  readonly most: number;
  readonly perMs: number;
}

export function bucketSettings({ maxTokens, tokensPerFill, fillInterval }: BucketMessage): BucketSettings {
  const ms = durationMs(fillInterval) ?? 0;
  return { most: maxTokens, perMs: ms > 0 ? (tokensPerFill ?? 1) / ms : 0 };
}

export class TokenBucket {
  readonly settings: BucketSettings;
  #tokens: number;
  #at: number;

  /** Full in the beginning. */
  constructor(settings: BucketSettings, nowMs: number) {
    this.settings = settings;
    this.#tokens = settings.most;
    this.#at = nowMs;
  }

  take(nowMs: number): boolean {
    this.#fill(nowMs);
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Whole tokens, and whole seconds until there is one. */
  look(nowMs: number): { readonly remaining: number; readonly resetSeconds: number } {
    this.#fill(nowMs);
    const missing = Math.max(0, 1 - this.#tokens);
    const { perMs } = this.settings;
    return { remaining: Math.floor(this.#tokens), resetSeconds: perMs === 0 ? 0 : Math.ceil(missing / perMs / 1_000) };
  }

  #fill(nowMs: number): void {
    const { most, perMs } = this.settings;
    this.#tokens = Math.min(most, this.#tokens + Math.max(0, nowMs - this.#at) * perMs);
    this.#at = nowMs;
  }
}

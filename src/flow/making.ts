// What resources are made with: the plug-ins, and when what comes of it is encoded.
import { type Encode, encodedWhenAsked, envoyResource } from "../envoy/encode.ts";
import type { Plugins } from "../plugin/plugins.ts";

export interface Making extends Plugins {
  readonly encode: Encode;
  readonly encodesLater: boolean;
  /** Key material travels as Secrets (SDS), and what uses it refers to it; otherwise it stands inside, as `translate` prints it. */
  readonly secretsApart: boolean;
}

export type MakingOptions = Partial<Pick<Making, "encodesLater" | "secretsApart">>;

/** `encodesLater`: for an answer that may be about findings only. What is served is encoded as it is made, and its messages are let go. */
export function makingWith(plugins: Plugins, { encodesLater = false, secretsApart = false }: MakingOptions = {}): Making {
  return { ...plugins, encode: encodesLater ? encodedWhenAsked : envoyResource, encodesLater, secretsApart };
}

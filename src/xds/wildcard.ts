// The special name `*`, and when it is meant though nobody said it.
import { typeUrls } from "../model/envoy-resource.ts";

export const wildcard = "*";

/** The types of which a client cannot know the names. A request for them that never named anything asks for all. */
export function hasLegacyWildcard(typeUrl: string): boolean {
  return typeUrl === typeUrls.cluster || typeUrl === typeUrls.listener;
}

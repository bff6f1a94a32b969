// What a response brings, in our terms.
import { versionOf } from "../envoy/encode.ts";
import type { EnvoyResource, TypeUrl } from "../model/envoy-resource.ts";
import type { Answer } from "./subscription.ts";
import type { ReceivedResource } from "./wire.ts";

export interface Arrival {
  readonly resource: EnvoyResource;
  /** The server's. */
  readonly version: string;
}

/** Undefined for a heartbeat, and for what is not what the response says it is; that is refused. */
export function arrivalOf({ name, version, content }: ReceivedResource, typeUrl: TypeUrl, answer: Answer): Arrival | undefined {
  if (content === undefined) return undefined;
  if (content.typeUrl !== typeUrl || name === "") {
    answer.refused.push({ name, reason: name === "" ? "it has no name" : `it is a ${content.typeUrl}, in a response of ${typeUrl}` });
    return undefined;
  }
  // The server's version may be one of all resources together: whether something changed is found in the content.
  return { version, resource: { typeUrl, name, version: versionOf(content.bytes), bytes: content.bytes, owners: [] } };
}

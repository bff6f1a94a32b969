// The words of a NACK. Servers find out from them which resource is meant, so they are Envoy's own where Envoy has some.
import { kindOf, type RefusedResource, typeUrls } from "../model/envoy-resource.ts";

/** `Error adding/updating cluster(s) one: reason, two: reason`; of other types, the first with its name as in a dump, then the rest. */
export function refusalMessage(typeUrl: string, refused: readonly Pick<RefusedResource, "name" | "reason">[]): string {
  const noun = typeUrl === typeUrls.cluster ? "cluster" : typeUrl === typeUrls.listener ? "listener" : undefined;
  if (noun !== undefined) return `Error adding/updating ${noun}(s) ${refused.map(({ name, reason }) => `${name}: ${reason}`).join(", ")}`;
  const kind = kindOf(typeUrl);
  return refused.map(({ name, reason }) => `${kind} with name: ${JSON.stringify(name)} cannot be used: ${reason}`).join("; ");
}

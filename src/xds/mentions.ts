// Whether a resource needs one of certain clusters, as cheaply as it can be told: by looking for their names in its bytes. A name that
// is there by chance, or is part of a longer one, costs some waiting; none is missed, since protobuf writes strings as they are.
import type { EnvoyResource } from "../model/envoy-resource.ts";

export class Mentions {
  /** Of what was looked at: a name that is in it. Bytes do not change, so it need not be looked for again. */
  readonly #found = new WeakMap<EnvoyResource, string>();

  hasNone(resource: EnvoyResource, names: ReadonlySet<string>): boolean {
    const found = this.#found.get(resource);
    if (found !== undefined && names.has(found)) return false;
    const { buffer, byteOffset, byteLength } = resource.bytes;
    const bytes = Buffer.from(buffer, byteOffset, byteLength);
    for (const name of names) {
      if (!bytes.includes(name)) continue;
      this.#found.set(resource, name);
      return false;
    }
    return true;
  }
}

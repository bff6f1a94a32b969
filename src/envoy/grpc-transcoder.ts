// Envoy's gRPC-JSON transcoder: its filter, and descriptors that it takes. It refuses a whole route configuration for a set that
// does not hold together, so that is found out before.
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

export const transcoderFilter = "envoy.filters.http.grpc_json_transcoder";

/**
 * The same filter, dormant, in listeners that want none for all requests: routes to Upstreams with descriptors wake it. The first such
 * route does not replace the listener, which would drain its connections.
 */
export const dormantTranscoder = "io.solo.grpc_json_transcoder";

/** What is wrong with a set of descriptors; undefined when Envoy takes it. */
export function descriptorFault(bytes: Uint8Array, services: readonly string[]): string | undefined {
  const set = setIn(bytes);
  return typeof set === "string" ? set : setFault(set, services);
}

/** The same, whatever is in the set. */
export function bytesFault(bytes: Uint8Array): string | undefined {
  const set = setIn(bytes);
  return typeof set === "string" ? set : undefined;
}

function setIn(bytes: Uint8Array): FileDescriptorSet | string {
  try {
    return fromBinary(FileDescriptorSetSchema, bytes);
  } catch {
    return "is not a valid FileDescriptorSet";
  }
}

export function setFault(set: FileDescriptorSet, services: readonly string[]): string | undefined {
  const before = new Set<string>();
  for (const { name, dependency } of set.file) {
    const missing = dependency.find((each) => !before.has(each));
    if (missing !== undefined) return `is not complete: ${name} imports ${missing}, which is not there, or not before it`;
    before.add(name);
  }
  try {
    const registry = createFileRegistry(set);
    const absent = services.find((name) => registry.getService(name) === undefined);
    return absent === undefined ? undefined : `has no service ${absent}`;
  } catch (fault) {
    return `is not a valid FileDescriptorSet: ${fault instanceof Error ? fault.message : String(fault)}`;
  }
}

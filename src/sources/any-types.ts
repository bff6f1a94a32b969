// The messages that `@type` can name: those of the API and of google.protobuf, and of Envoy's own what a custom health check can be.
import { createRegistry, type DescFile, type Registry } from "@bufbuild/protobuf";
import * as wkt from "@bufbuild/protobuf/wkt";
import { RedisSchema } from "../gen/envoy/envoy/extensions/health_checkers/redis/v3/redis_pb.js";
import { ThriftSchema } from "../gen/envoy/envoy/extensions/health_checkers/thrift/v3/thrift_pb.js";
import { kinds } from "../model/resource.ts";

let registry: Registry | undefined;

function all(): Registry {
  registry ??= createRegistry(
    ...filesOf(Object.values(kinds).map((kind) => kind.schema.file)),
    wkt.file_google_protobuf_wrappers,
    RedisSchema,
    ThriftSchema,
  );
  return registry;
}

/** Made when somebody looks something up: most configurations have no `@type`, and it takes 15 ms. */
const whenAsked: Registry = {
  kind: "registry",
  [Symbol.iterator]: () => all()[Symbol.iterator](),
  get: (typeName) => all().get(typeName),
  getMessage: (typeName) => all().getMessage(typeName),
  getEnum: (typeName) => all().getEnum(typeName),
  getExtension: (typeName) => all().getExtension(typeName),
  getExtensionFor: (extendee, no) => all().getExtensionFor(extendee, no),
  getService: (typeName) => all().getService(typeName),
};

export function apiTypes(): Registry {
  return whenAsked;
}

/** The files and all that they import. */
function filesOf(roots: readonly DescFile[]): Set<DescFile> {
  const files = new Set<DescFile>();
  const visit = (file: DescFile) => {
    if (files.has(file)) return;
    files.add(file);
    file.dependencies.forEach(visit);
  };
  roots.forEach(visit);
  return files;
}

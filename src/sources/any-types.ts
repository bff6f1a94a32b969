// The messages that `@type` can name: those of the API and of google.protobuf, and of Envoy's own what a custom health check can be.
import { createRegistry, type DescFile, type Registry } from "@bufbuild/protobuf";
import * as wkt from "@bufbuild/protobuf/wkt";
import { RedisSchema } from "../gen/envoy/envoy/extensions/health_checkers/redis/v3/redis_pb.js";
import { ThriftSchema } from "../gen/envoy/envoy/extensions/health_checkers/thrift/v3/thrift_pb.js";
import { kinds } from "../model/resource.ts";

let registry: Registry | undefined;

export function apiTypes(): Registry {
  registry ??= createRegistry(
    ...filesOf(Object.values(kinds).map((kind) => kind.schema.file)),
    wkt.file_google_protobuf_wrappers,
    RedisSchema,
    ThriftSchema,
  );
  return registry;
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

// The messages that `@type` can name without Envoy's own: those of the API and of google.protobuf.
import { createRegistry, type DescFile, type Registry } from "@bufbuild/protobuf";
import * as wkt from "@bufbuild/protobuf/wkt";
import { kinds } from "../model/resource.ts";

let registry: Registry | undefined;

export function apiTypes(): Registry {
  registry ??= createRegistry(...filesOf(Object.values(kinds).map((kind) => kind.schema.file)), wkt.file_google_protobuf_wrappers);
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

// Hydrates the descriptor of one proto file; generated code calls it in place of protobuf-es's own `fileDesc`.
//
// That one enters every type of every file that is imported, directly or not and by however many ways, into a new registry for
// each file: with Envoy's schema some hundred thousand insertions, a third of the time that starting takes. A file refers only to
// types of the files that it imports itself, so here it is shown those alone (tested: the descriptors are the same).
// Plain JavaScript, because generated JavaScript imports it.
import { fileDesc as hydrate } from "@bufbuild/protobuf/codegenv2";

/** @type {WeakMap<import("@bufbuild/protobuf").DescFile, import("@bufbuild/protobuf").DescFile>} */
const alone = new WeakMap();

/**
 * @param {string} b64 The FileDescriptorProto, as generated code holds it.
 * @param {import("@bufbuild/protobuf").DescFile[]} [imports] The files it imports, in its order.
 * @returns {import("@bufbuild/protobuf").DescFile}
 */
export function fileDesc(b64, imports = []) {
  const file = hydrate(b64, imports.map(withoutDependencies));
  file.dependencies.splice(0, file.dependencies.length, ...imports);
  return file;
}

/** @param {import("@bufbuild/protobuf").DescFile} file */
function withoutDependencies(file) {
  let view = alone.get(file);
  if (view === undefined) {
    view = { ...file, dependencies: [] };
    alone.set(file, view);
  }
  return view;
}

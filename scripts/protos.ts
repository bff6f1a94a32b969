// Our protos (proto/**/*.proto), compiled by buf, with comments and imports: what generate, dump-api and reference start from.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const root = join(import.meta.dirname, "..");

/** Every file that we own and every file that these import, in dependency order. */
export function compileProtos(): FileDescriptorProto[] {
  const buf = join(root, "node_modules/.bin/buf");
  const image = execFileSync(buf, ["build", "-o", "-#format=binpb"], { cwd: root, maxBuffer: 1 << 28 });
  return fromBinary(FileDescriptorSetSchema, image).file;
}

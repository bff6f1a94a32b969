// Makes proto/envoy.binpb.gz: Envoy's v3 API as one FileDescriptorSet. Needed once for each new version of Envoy, with Go installed:
//
//   node scripts/envoy-descriptors/make.ts v1.40.0 && npm run generate
//
// The Go module go-control-plane/envoy has the tags of Envoy's minor versions and every type of that version.
import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const goModule = "github.com/envoyproxy/go-control-plane/envoy";
const [version] = process.argv.slice(2);
if (version === undefined) throw new Error("name a version of Envoy: v1.40.0");

const folder = mkdtempSync(join(tmpdir(), "envoy-descriptors-"));
try {
  writeFileSync(join(folder, "go.mod"), "module dump\n\ngo 1.24\n");
  cpSync(join(import.meta.dirname, "dump.go"), join(folder, "dump.go"));
  go("get", `${goModule}@${version}`);
  const source = go("list", "-m", "-f", "{{.Dir}}", goModule).trim();
  const packages = [...new Set(globSync("**/*.pb.go", { cwd: source }).map(dirname))].sort();
  writeFileSync(join(folder, "imports.go"), `package main\n\n${packages.map((each) => `import _ "${goModule}/${each}"\n`).join("")}`);
  go("mod", "tidy");
  go("run", ".", "set.binpb");
  const set = fromBinary(FileDescriptorSetSchema, readFileSync(join(folder, "set.binpb")));
  set.file = withoutV2(set.file);
  const zipped = gzipSync(toBinary(FileDescriptorSetSchema, set), { level: 9 });
  // The byte that says on which system it was made: the same everywhere.
  zipped[9] = 255;
  writeFileSync(join(import.meta.dirname, "../../proto/envoy.binpb.gz"), zipped);
  console.log(`proto/envoy.binpb.gz: ${set.file.length} files, ${zipped.length} bytes`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function go(...args: string[]): string {
  return execFileSync("go", args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

/** All but the API of before 2021, and what nothing else needs. In dependency order, as given. */
function withoutV2(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const kept = new Map<string, FileDescriptorProto>();
  const keep = (name: string) => {
    const file = byName.get(name);
    if (file === undefined || kept.has(name)) return;
    file.dependency.forEach(keep);
    kept.set(name, file);
  };
  for (const { name } of files) if (!/\/(v2|v2alpha|v1alpha|v2alpha1)\//.test(name) || name.startsWith("xds/")) keep(name);
  return [...kept.values()];
}

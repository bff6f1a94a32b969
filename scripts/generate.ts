// Generates src/gen from our protos (proto/**/*.proto), from Envoy's schema (proto/envoy.binpb.gz) and from the Lua of transformations
// (src/template/lua), and what is made of src/gen in turn: the definitions in deploy/crds.
//
//   npm run generate
//   node scripts/generate.ts --check    writes nothing; exit 1 when something is not what the protos give
//
// proto/envoy.binpb.gz is one FileDescriptorSet of the v3 API that Envoy 1.40 speaks; scripts/envoy-descriptors/make.ts makes it.
// The plug-in is fed directly: one request for each tree, so a run takes about two seconds.
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { create, createFileRegistry, type DescFile, fromBinary, toBinary } from "@bufbuild/protobuf";
import { enumDesc, tsEnum } from "@bufbuild/protobuf/codegenv2";
import {
  CodeGeneratorRequestSchema,
  CodeGeneratorResponseSchema,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { luaScript } from "../src/template/lua/source.ts";
import { compileProtos } from "./protos.ts";

const root = join(import.meta.dirname, "..");
const bin = (name: string) => join(root, "node_modules/.bin", name);

/** The Envoy files that we emit, run or read; what they import comes along. */
const envoyFiles = [
  /^envoy\/config\/(bootstrap|cluster|core|endpoint|listener|route|accesslog|trace|rbac|ratelimit|metrics|overload|grpc_credential)\/v3\//,
  /^envoy\/extensions\/filters\/(http|network|listener)\/[^/]+\/(.*\/)?v3\//,
  /^envoy\/extensions\/(access_loggers|clusters|compression|early_data|health_check|health_checkers|http|load_balancing_policies|transport_sockets|upstreams|matching|path|internal_redirect|retry|request_id|string_matcher|formatter|filters\/common|common|wasm|grpc_service|resource_monitors|rate_limit_descriptors|network|rbac|tracers|stat_sinks|quic|regex_engines|udp_packet_writer|config|content_parsers|geoip_providers|dynamic_modules|outlier_detection_monitors|local_address_selectors|bootstrap\/internal_listener)\/(.*\/)?v3\//,
  /^envoy\/service\/(auth|ext_proc|ratelimit|discovery|cluster|endpoint|listener|route|secret|status|runtime|extension)\/v3\//,
  /^envoy\/admin\/v3\//,
  /^envoy\/type\//,
];

const finish = process.argv.includes("--check") ? compare : write;
finish(
  "src/gen/gloo",
  generate(compileProtos(), () => true),
);
finish(
  "src/gen/envoy",
  generate(envoySchema(), (name) => envoyFiles.some((pattern) => pattern.test(name))),
);
finish(
  "src/gen/lua",
  new Map([
    ["transformations.js", `// Generated from src/template/lua.\nexport const script =\n  ${JSON.stringify(luaScript())};\n`],
    ["transformations.d.ts", "// Generated from src/template/lua.\nexport declare const script: string;\n"],
  ]),
);
// Now that src/gen is what it should be.
const { crds } = await import("./crds.ts");
if (crds(finish === compare) !== 0) process.exitCode = 1;

function envoySchema(): FileDescriptorProto[] {
  return fromBinary(FileDescriptorSetSchema, gunzipSync(readFileSync(join(root, "proto/envoy.binpb.gz")))).file;
}

/** Content by file name. */
type Generated = ReadonlyMap<string, string>;

function generate(files: FileDescriptorProto[], wanted: (name: string) => boolean): Generated {
  const chosen = withImports(files, wanted);
  const request = create(CodeGeneratorRequestSchema, {
    fileToGenerate: chosen.map((file) => file.name).filter((name) => !isWellKnown(name)),
    parameter: "target=js+dts,import_extension=js",
    protoFile: chosen,
  });
  const run = spawnSync(bin("protoc-gen-es"), { input: toBinary(CodeGeneratorRequestSchema, request), maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`protoc-gen-es: ${run.stderr}`);
  const response = fromBinary(CodeGeneratorResponseSchema, run.stdout);
  if (response.error) throw new Error(`protoc-gen-es: ${response.error}`);
  return withDescriptorsAside(new Map(response.file.map((file) => [file.name, file.content])), chosen);
}

/**
 * The descriptors of all files go into one module, and generated code reads them there when it needs them (src/lib/descriptors/tree.ts
 * says why): so a module brings along none of the files that its own imports.
 */
function withDescriptorsAside(files: Generated, protos: readonly FileDescriptorProto[]): Generated {
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...protos] }));
  const descriptors: string[] = [];
  const result = new Map<string, string>();
  for (const [name, content] of files) {
    if (!name.endsWith(".js")) {
      result.set(name, content);
      continue;
    }
    const desc = registry.getFile(name.replace(/_pb\.js$/, ".proto"));
    const [call, b64] = /fileDesc\("([^"]+)"(?:, \[[^\]]*\])?\)/.exec(content) ?? [];
    if (desc === undefined || call === undefined || b64 === undefined)
      throw new Error(`${name}: no descriptor found in what was generated`);
    const path = JSON.stringify(desc.proto.name);
    descriptors.push(`  ${path}:\n    ${JSON.stringify(withDependencies(b64, desc.proto))},\n`);
    result.set(name, withOneImport(name, withEnums(content, desc).replace(call, `fileDesc(${path})`)));
  }
  return result.set("descriptors.js", descriptorsModule(descriptors));
}

/** Generated code says them by importing. */
function withDependencies(b64: string, { dependency }: FileDescriptorProto): string {
  const descriptor = fromBinary(FileDescriptorProtoSchema, Buffer.from(b64, "base64"));
  return Buffer.from(toBinary(FileDescriptorProtoSchema, { ...descriptor, dependency })).toString("base64");
}

/** Enums as what they are: to make them of their descriptors would hydrate these at every start. */
function withEnums(content: string, file: DescFile): string {
  return content.replaceAll(/\/\*@__PURE__\*\/\s+tsEnum\((\w+)\)/g, (_, schema: string) => {
    const [, path] = new RegExp(`${schema} = [^;]*enumDesc\\(\\w+, ([\\d, ]+)\\)`).exec(content) ?? [];
    const [first, ...others] = (path ?? "").split(", ").map(Number);
    return JSON.stringify(tsEnum(enumDesc(file, first ?? 0, ...others)), undefined, 2);
  });
}

/** The code of one file, with one import in place of all others. */
function withOneImport(name: string, content: string): string {
  const names = new Set<string>();
  const code = content.replaceAll(/^import \{ (.*) \} from ".*";\n/gm, (_, imported: string) => {
    for (const each of imported.split(", ")) if (!each.startsWith("file_") && each !== "tsEnum") names.add(each);
    return "";
  });
  const path = `${"../".repeat(name.split("/").length - 1)}descriptors.js`;
  return code.replace(/^(\/\* eslint-disable \*\/\n)\n?/m, `$1\nimport { ${[...names].sort().join(", ")} } from "${path}";\n`);
}

function descriptorsModule(descriptors: readonly string[]): string {
  return `// @generated by scripts/generate.ts
/* eslint-disable */

import { descriptorTree } from "../../lib/descriptors/tree.ts";

export { enumDesc, extDesc, messageDesc, serviceDesc } from "../../lib/descriptors/tree.ts";

export const fileDesc = /*@__PURE__*/ descriptorTree({
${descriptors.join("")}});
`;
}

function write(folder: string, files: Generated): void {
  rmSync(join(root, folder), { recursive: true, force: true });
  for (const [name, content] of files) {
    const path = join(root, folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
  console.log(`${folder}: ${files.size} files`);
}

/** Says what differs between the tree and what would be written. */
function compare(folder: string, files: Generated): void {
  const present = globSync("**/*.{js,ts}", { cwd: join(root, folder) }).map((name) => name.replaceAll("\\", "/"));
  const stale = [
    ...present.filter((name) => !files.has(name)),
    ...[...files]
      .filter(([name, content]) => !present.includes(name) || readFileSync(join(root, folder, name), "utf8") !== content)
      .map(([name]) => name),
  ];
  console.log(`${folder}: ${files.size} files, ${stale.length} not up to date`);
  if (stale.length === 0) return;
  console.error(`${stale.map((name) => `  ${folder}/${name}`).join("\n")}\nrun: npm run generate`);
  process.exitCode = 1;
}

/** Part of protobuf-es itself. */
function isWellKnown(name: string): boolean {
  return name.startsWith("google/protobuf/");
}

/** The wanted files and all that they import, in dependency order. */
function withImports(files: readonly FileDescriptorProto[], wanted: (name: string) => boolean): FileDescriptorProto[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const ordered = new Map<string, FileDescriptorProto>();
  const visit = (name: string) => {
    const file = byName.get(name);
    if (!file || ordered.has(name)) return;
    for (const dependency of file.dependency) visit(dependency);
    ordered.set(name, file);
  };
  for (const file of files) if (wanted(file.name)) visit(file.name);
  return [...ordered.values()];
}

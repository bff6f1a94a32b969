// Makes dist/: what the published package runs. One bundle with lazy chunks, so that `check` loads a fraction of it, and the types of
// the library entry. Also THIRD-PARTY-NOTICES, for what is bundled.
//
//   npm run build
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { rolldown } from "rolldown";
import { bundling } from "./bundling.ts";

const root = join(import.meta.dirname, "..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
const { plugins, output: how } = bundling();
const bundle = await rolldown({
  plugins,
  cwd: root,
  input: { main: "src/main.ts", index: "src/index.ts" },
  platform: "node",
  // Optional parts of what we bundle, which nothing of ours reaches.
  external: ["pino-pretty", "bufferutil", "utf-8-validate"],
  onLog: (level, log, handler) => {
    if (level === "warn") throw new Error(`rolldown: ${log.message}`);
    handler(level, log);
  },
});
const { output } = await bundle.write({
  ...how,
  dir: dist,
  sourcemap: false,
  entryFileNames: "[name].js",
  chunkFileNames: "chunks/[name]-[hash].js",
});
await bundle.close();

const modules = output.flatMap((chunk) => (chunk.type === "chunk" ? chunk.moduleIds : []));
writeFileSync(join(root, "THIRD-PARTY-NOTICES"), notices(packagesOf(modules)));
writeTypes();
const bytes = globSync("**/*.js", { cwd: dist }).reduce((sum, name) => sum + statSync(join(dist, name)).size, 0);
console.log(`dist: ${output.length} files, ${(bytes / 1e6).toFixed(1)} MB`);

/** Folders of the packages that modules were taken from. */
function packagesOf(ids: readonly string[]): string[] {
  const folders = ids.flatMap((id) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(id.replaceAll("\\", "/").replace(/^\0/, ""))?.[0] ?? []);
  return [...new Set(folders)].filter((folder) => existsSync(join(folder, "package.json"))).sort();
}

function notices(folders: readonly string[]): string {
  const parts = folders.map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const files = globSync("{LICENSE,LICENCE,NOTICE,COPYING}{,.*,-*}", { cwd: folder }).sort();
    if (!license && files.length === 0) throw new Error(`${name} has no licence that we could pass on`);
    const texts = files.map((file) => readFileSync(join(folder, file), "utf8").trim());
    return `${name} ${version} (${license})\n\n${texts.join("\n\n")}`;
  });
  return `Headworks contains the following software.\n\n${parts.join(`\n\n${"-".repeat(78)}\n\n`)}\n`;
}

/** Declarations of src/index.ts and of what it names; generated code has its own, of which only what is named comes along. */
function writeTypes(): void {
  const types = join(dist, "types");
  const args = ["--declaration", "--emitDeclarationOnly", "--noEmit", "false", "--outDir", types, "--rootDir", join(root, "src")];
  execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", join(root, "scripts/tsconfig.types.json"), ...args], {
    cwd: root,
    stdio: "inherit",
  });
  const pending = globSync("**/*.d.ts", { cwd: types });
  for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
    for (const [, name = ""] of readFileSync(join(types, file), "utf8").matchAll(/from "(\.[^"]+)\.js"/g)) {
      const wanted = `${posix.join(posix.dirname(file), name)}.d.ts`;
      if (existsSync(join(types, wanted)) || !existsSync(join(root, "src", wanted))) continue;
      mkdirSync(dirname(join(types, wanted)), { recursive: true });
      copyFileSync(join(root, "src", wanted), join(types, wanted));
      pending.push(wanted);
    }
  }
}

// Servers that are built from Go modules, once for each version, in the cache of the tests.
import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export interface GoBuild {
  /** Name of the folder in the cache: `etcd-3.6.11`. */
  readonly folder: string;
  /** Name of the binary in it. */
  readonly binary: string;
  /** What to build, and of which module and version. */
  readonly package: string;
  readonly version: string;
  /** Lines of the `replace` kind for go.mod, given the folder of the build. */
  readonly replaces?: (cwd: string) => readonly string[];
  readonly ldflags?: string;
}

export function cachedIn(folder: string): string {
  return join(process.env.HEADWORKS_CACHE ?? join(homedir(), ".cache", "headworks"), folder);
}

/** Builds it; the folder appears only when the binary is whole. Throws an Error that says why it could not. */
export function buildWithGo(build: GoBuild): void {
  const folder = cachedIn(build.folder);
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  try {
    const goMod = (lines: readonly string[]) =>
      writeFileSync(join(unfinished, "go.mod"), ["module build", "go 1.24", ...lines, ""].join("\n"));
    goMod([]);
    goMod(build.replaces?.(unfinished) ?? []);
    go(unfinished, "get", "-tool", `${build.package}@v${build.version}`);
    go(unfinished, "build", "-trimpath", `-ldflags=-s -w ${build.ldflags ?? ""}`, "-o", build.binary, build.package);
    rmSync(folder, { recursive: true, force: true });
    renameSync(unfinished, folder);
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
}

/** Runs the Go command; its output. */
export function go(cwd: string, ...args: string[]): string {
  const run = spawnSync("go", args, { cwd, encoding: "utf8", env: { ...process.env, CGO_ENABLED: "0" }, maxBuffer: 64 * 1024 * 1024 });
  if (run.error) throw new Error("there is no Go to build it with", { cause: run.error });
  if (run.status !== 0) throw new Error(`go ${args[0]} failed: ${run.stderr.trim().split("\n").at(-1) ?? "no reason given"}`);
  return run.stdout;
}

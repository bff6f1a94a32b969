// The lock file must let `npm ci` run anywhere: it names no registry, and has an entry for every optional package of another
// platform. npm leaves such an entry out when the registry it asked did not have the package, and then refuses its own lock file.
//
//   node scripts/lockfile.ts           exit 1 and a line for each fault
//   node scripts/lockfile.ts --fix     adds the missing entries, from what the names of the packages say
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Entry {
  readonly version?: string;
  readonly resolved?: string;
  readonly dev?: boolean;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

interface LockFile {
  packages: Record<string, Entry & object>;
}

/** `cli-linux-x64-musl`, `buf-linux-armv7` */
const platformName = /-(android|darwin|freebsd|linux|openharmony|win32)-(arm64|x64|ia32|armv7)(?:-(gnu|musl))?$/;

if (import.meta.main) {
  const file = join(import.meta.dirname, "../package-lock.json");
  const lock: LockFile = JSON.parse(readFileSync(file, "utf8"));
  if (process.argv.includes("--fix")) {
    addMissing(lock);
    writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`);
  }
  const faults = faultsOf(lock);
  for (const fault of faults) console.error(fault);
  console.log(`package-lock.json: ${Object.keys(lock.packages).length} entries, ${faults.length} faults`);
  process.exitCode = faults.length > 0 ? 1 : 0;
}

export function faultsOf(lock: LockFile): string[] {
  const entries = Object.entries(lock.packages);
  const withAddress = entries.filter(([, entry]) => entry.resolved?.startsWith("http")).map(([path]) => `${path} names a registry`);
  return [...withAddress, ...missing(lock).map(({ name, owner }) => `${name}, which ${owner} may need, has no entry (--fix adds it)`)];
}

/** Entries in the order of their paths, as npm writes them. */
export function addMissing(lock: LockFile): void {
  for (const { name, version, dev } of missing(lock)) {
    const [, os = "", cpu = "", libc] = platformName.exec(name) ?? [];
    if (os === "") throw new Error(`${name} does not say its platform`);
    const platform = { os: [os], cpu: [cpu === "armv7" ? "arm" : cpu], ...(libc && { libc: [libc === "gnu" ? "glibc" : libc] }) };
    lock.packages[`node_modules/${name}`] = { version, ...(dev && { dev }), optional: true, ...platform } as Entry;
  }
  const byPath = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en"));
  lock.packages = Object.fromEntries(byPath);
}

function missing({ packages }: LockFile) {
  return Object.entries(packages).flatMap(([owner, { optionalDependencies = {}, dev = false }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !pathsSeenFrom(owner).some((path) => `${path}node_modules/${name}` in packages))
      .map(([name, version]) => ({ name, version, owner, dev })),
  );
}

/** Where Node looks for a package that `owner` imports: below it, then below each folder above. */
function pathsSeenFrom(owner: string): string[] {
  const parts = owner.split("/node_modules/");
  return [...parts.map((_, index) => `${parts.slice(0, parts.length - index).join("/node_modules/")}/`), ""];
}

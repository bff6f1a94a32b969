// The plug-ins of a run: the built-in ones, and those of headworks.config.ts.
import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { builtins } from "../builtins.ts";
import { packageRoot } from "../lib/package-root.ts";
import { ConfigError, configNames, loadConfig, withConfig } from "../plugin/config.ts";
import type { Plugins } from "../plugin/plugins.ts";
import { CommandError } from "./exit.ts";

/** `named` is the file of --config; without it, one of the usual names in the working folder is taken where there is one. */
export async function loadPlugins(named: string | undefined): Promise<Plugins> {
  if (named === undefined && !configNames.some((name) => existsSync(name))) return builtins;
  if (named !== undefined && !existsSync(named)) throw new CommandError(`--config names ${named}, which is not there`);
  resolveOurselves();
  try {
    return withConfig(builtins, await loadConfig(named));
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(error.message);
    throw error;
  }
}

/** `import … from "headworks"` means this very program, also where it is not installed beside the file (npx, a checkout). */
function resolveOurselves(): void {
  const source = join(packageRoot, "src/index.ts");
  const url = pathToFileURL(existsSync(source) ? source : join(packageRoot, "dist/index.js")).href;
  registerHooks({
    resolve: (specifier, context, next) => (specifier === "headworks" ? { url, shortCircuit: true } : next(specifier, context)),
  });
}

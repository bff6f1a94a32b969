// The plug-ins of a run: the built-in ones, and those of headworks.config.ts.
import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { builtins } from "../builtins.ts";
import { packageRoot } from "../lib/package-root.ts";
import { ConfigError, configNames, loadConfig, withConfig } from "../plugin/config.ts";
import type { Plugins } from "../plugin/plugins.ts";
import { CommandError } from "./exit.ts";

/** `named` is the file of --config; without it, one of the usual names in the working folder is taken where there is one. */
export async function loadPlugins(named: string | undefined): Promise<Plugins> {
  const file = named ?? configNames.find((name) => existsSync(name));
  if (file === undefined) return builtins;
  if (!existsSync(file)) throw new CommandError(`--config names ${file}, which is not there`);
  helpToImport(resolve(file));
  try {
    return withConfig(builtins, await loadConfig(file));
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(error.message);
    throw error;
  }
}

/**
 * `import … from "headworks"` means this very program, also where it is not installed beside the file (npx, a checkout); and the file
 * is a module even where the nearest package.json does not say so, which is what `npm init` writes.
 */
function helpToImport(file: string): void {
  const source = join(packageRoot, "src/index.ts");
  const ourselves = pathToFileURL(existsSync(source) ? source : join(packageRoot, "dist/index.js")).href;
  const config = pathToFileURL(file).href;
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier === "headworks") return { url: ourselves, shortCircuit: true };
      if (specifier === config) return { url: config, format: /\.m?ts$/.test(file) ? "module-typescript" : "module", shortCircuit: true };
      return next(specifier, context);
    },
  });
}

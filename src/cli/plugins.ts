// The plug-ins of a run: the built-in ones, and those of headworks.config.ts.
import { existsSync } from "node:fs";
import { registerHooks } from "node:module";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { builtins } from "../builtins.ts";
import { packageRoot } from "../lib/package-root.ts";
import type { Config } from "../plugin/config.ts";
import type { Plugins } from "../plugin/plugins.ts";
import { CommandError } from "./exit.ts";

const usualNames = ["headworks.config.ts", "headworks.config.mts", "headworks.config.js", "headworks.config.mjs"];

/** `named` is the file of --config; without it, one of the usual names in the working folder is taken where there is one. */
export async function loadPlugins(named: string | undefined): Promise<Plugins> {
  const file = named ?? usualNames.find((name) => existsSync(name));
  if (file === undefined) return builtins;
  if (!existsSync(file)) throw new CommandError(`--config names ${file}, which is not there`);
  return withConfig(await importConfig(file), file);
}

async function importConfig(file: string): Promise<unknown> {
  resolveOurselves();
  try {
    return (await import(pathToFileURL(resolve(file)).href)).default;
  } catch (error) {
    throw new CommandError(`${file} cannot be loaded: ${(error as Error).message}`);
  }
}

function withConfig(config: unknown, file: string): Plugins {
  if (typeof config !== "object" || config === null)
    throw new CommandError(`${file} has no default export; write \`export default defineConfig({ … })\``);
  const { upstreamTypes = [], features = [] } = config as Config;
  const malformed = upstreamTypes.find((type) => typeof type?.kind !== "string" || typeof type?.cluster !== "function");
  if (malformed !== undefined) throw new CommandError(`${file}: an Upstream type needs \`kind\` and \`cluster\`; see defineUpstreamType`);
  return {
    upstreamTypes: { ...builtins.upstreamTypes, ...Object.fromEntries(upstreamTypes.map((type) => [type.kind, type])) },
    features: [...builtins.features, ...features],
  };
}

/** `import … from "headworks"` means this very program, also where it is not installed beside the file (npx, a checkout). */
function resolveOurselves(): void {
  const source = join(packageRoot, "src/index.ts");
  const url = pathToFileURL(existsSync(source) ? source : join(packageRoot, "dist/index.js")).href;
  registerHooks({
    resolve: (specifier, context, next) => (specifier === "headworks" ? { url, shortCircuit: true } : next(specifier, context)),
  });
}

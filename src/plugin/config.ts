// `headworks.config.ts`: what users add to the program itself, types of Upstreams and features. Configuration of the gateway is
// not in it.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { Feature } from "./feature.ts";
import type { Plugins } from "./plugins.ts";
import type { AnyUpstreamType } from "./upstream-type.ts";

export interface Config {
  /** Types of Upstreams besides the built-in ones. */
  readonly upstreamTypes?: readonly AnyUpstreamType[];
  /** Features besides the built-in ones; they come after those. */
  readonly features?: readonly Feature[];
}

/** Gives a configuration its type: `export default defineConfig({ … })`. */
export function defineConfig(config: Config): Config {
  return config;
}

/** The file names that are looked for in the working directory, when no path is given. */
export const configNames = ["headworks.config.ts", "headworks.config.mts", "headworks.config.js", "headworks.config.mjs"] as const;

/** What stops the program at its start: a user's module that cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly file: string;

  constructor(file: string, message: string, options?: ErrorOptions) {
    super(`${file}: ${message}`, options);
    this.file = file;
  }
}

/** The user's configuration: of `path`, or of the first of {@link configNames} that is in `folder`; an empty one when there is none. */
export async function loadConfig(path: string | undefined, folder: string = process.cwd()): Promise<Config> {
  const file = path === undefined ? configNames.map((name) => join(folder, name)).find((each) => existsSync(each)) : resolve(folder, path);
  if (file === undefined) return {};
  let loaded: { readonly default?: unknown };
  try {
    loaded = await import(pathToFileURL(file).href);
  } catch (cause) {
    throw new ConfigError(file, `could not be loaded: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  return checkedConfig(file, loaded.default);
}

/** The built-in plug-ins with the user's. */
export function withConfig(builtins: Plugins, config: Config): Plugins {
  const own = (config.upstreamTypes ?? []).map((type) => [type.kind, type] as const);
  return {
    upstreamTypes: { ...builtins.upstreamTypes, ...Object.fromEntries(own) },
    features: [...builtins.features, ...(config.features ?? [])],
  };
}

/** The kinds of Upstreams that a decoder must take besides those of the API: fields of `spec` that a user's type reads. */
export function customKinds(plugins: Plugins): readonly string[] {
  return Object.keys(plugins.upstreamTypes).filter((kind) => !(kind in UpstreamSchema.field));
}

function checkedConfig(file: string, config: unknown): Config {
  if (typeof config !== "object" || config === null) {
    throw new ConfigError(file, "has no default export; write `export default defineConfig({ … })`");
  }
  const { upstreamTypes = [], features = [], ...others } = config as Record<string, unknown>;
  const unknown = Object.keys(others);
  if (unknown.length > 0) throw new ConfigError(file, `knows upstreamTypes and features, not ${unknown.join(", ")}`);
  if (!Array.isArray(upstreamTypes) || !Array.isArray(features)) throw new ConfigError(file, "upstreamTypes and features are lists");
  for (const type of upstreamTypes) checkType(file, type);
  const kinds = upstreamTypes.map(({ kind }) => kind);
  const twice = kinds.find((kind, i) => kinds.indexOf(kind) !== i);
  if (twice !== undefined) throw new ConfigError(file, `the type ${twice} is there twice`);
  for (const feature of features) {
    if (typeof feature?.name !== "string") throw new ConfigError(file, "a feature has no name");
  }
  return config as Config;
}

function checkType(file: string, type: Partial<AnyUpstreamType> | undefined): void {
  const { kind, cluster, parse } = type ?? {};
  if (typeof kind !== "string" || !/^[a-z][A-Za-z0-9]*$/.test(kind)) {
    throw new ConfigError(file, `the kind of a type is a lower camel case word, not ${JSON.stringify(kind)}`);
  }
  const field = UpstreamSchema.fields.find(({ localName }) => localName === kind);
  if (field && field.oneof?.name !== "upstream_type")
    throw new ConfigError(file, `a type cannot be named ${kind}: every Upstream has that field`);
  if (typeof cluster !== "function") throw new ConfigError(file, `the type ${kind} has no cluster()`);
  // A kind of the API may be replaced: its message is parsed already.
  if (!field && typeof parse !== "function") throw new ConfigError(file, `the type ${kind} has no parse()`);
}

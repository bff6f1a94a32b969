// `headworks crds`: the CustomResourceDefinitions of the API, for `kubectl apply`. They lie in the package as files.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../lib/package-root.ts";
import { kinds } from "../model/resource.ts";
import { CommandError } from "./exit.ts";
import { print } from "./terminal.ts";

const folder = join(packageRoot, "deploy/crds");

/** `names`: kinds, plurals or short names; all when there are none. */
export function crds(names: readonly string[]): void {
  print(
    definitionTexts(names)
      .map((text) => `---\n${text}`)
      .join(""),
  );
}

/** A definition each, as YAML. Throws a CommandError for a name that is none. */
export function definitionTexts(names: readonly string[]): string[] {
  const files = definitionFiles();
  const wanted = names.length === 0 ? files : names.map((name) => fileOf(name, files));
  return [...new Set(wanted)].map((file) => readFileSync(join(folder, file), "utf8"));
}

function definitionFiles(): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    throw new CommandError(`the definitions are not in ${folder}: ${(error as Error).message}`);
  }
}

function fileOf(name: string, files: readonly string[]): string {
  const wanted = name.toLowerCase();
  const found = Object.entries(kinds).find(
    ([kind, { plural, shortNames }]) => [kind.toLowerCase(), plural].includes(wanted) || (shortNames as readonly string[]).includes(wanted),
  );
  const file = found && `${found[1].group}_${found[1].plural}.yaml`;
  if (file !== undefined && files.includes(file)) return file;
  const plurals = files.map((each) => each.replace(/^.*_|\.yaml$/g, ""));
  const why =
    found === undefined ? `there is no kind "${name}"` : `${found[0]} has no definition: in a cluster it is an object of Kubernetes itself`;
  throw new CommandError(why, 2, `There are ${plurals.join(", ")}.`);
}

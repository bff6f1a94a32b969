// Where this package lies on disk, from its sources and from its bundle alike, and what its package.json says.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The folder with our package.json. */
export const packageRoot = findRoot(import.meta.dirname);

/** `0.1.0` */
export const packageVersion: string = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")).version;

function findRoot(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const parent = dirname(folder);
  if (parent === folder) throw new Error(`no package.json above ${import.meta.dirname}`);
  return findRoot(parent);
}

// Loads all chunks of a bundle once, so that they stand compiled in Node's compile cache: node scripts/warm.ts FOLDER. main.js itself would run.
import { globSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("name the folder of the bundle");
await Promise.all(
  globSync("**/*.js", { cwd: folder })
    .filter((name) => name !== "main.js")
    .map((name) => import(pathToFileURL(join(folder, name)).href).catch(() => undefined)),
);
flushCompileCache();
process.exit(0);

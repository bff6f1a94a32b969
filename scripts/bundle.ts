// Bundles the program into a folder: node scripts/bundle.ts FOLDER. For `npm start` and `npm run headworks` (scripts/bundled.mjs); what is
// published is build.ts's.
import { renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { rolldown } from "rolldown";
import { bundling } from "./bundling.ts";

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error("name the folder to write to");

const unfinished = `${folder}.${process.pid}`;
const { plugins, output } = bundling();
const bundle = await rolldown({
  plugins,
  cwd: join(import.meta.dirname, ".."),
  input: { main: "src/main.ts" },
  platform: "node",
  external: ["pino-pretty", "bufferutil", "utf-8-validate"],
});
await bundle.write({ ...output, dir: unfinished });
await bundle.close();
rmSync(folder, { recursive: true, force: true });
renameSync(unfinished, folder);

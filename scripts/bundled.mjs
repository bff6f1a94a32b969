// The program as one bundle, made of the sources as they are right now: it starts in half the time that 600 modules take. Kept under
// node_modules, in a folder named after what it was made of, so that a running one is never pulled away; made anew when a source has
// changed, which takes less than a second. Plain JavaScript for Node 18, as with-node.mjs.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

const kept = 3;

/** Path of the bundle, or of src/main.ts where none can be made or HEADWORKS_FROM_SOURCE is set. */
export function bundledMain(root, node, env) {
  const source = join(root, "src/main.ts");
  if (env.HEADWORKS_FROM_SOURCE) return source;
  const folder = join(root, "node_modules/.cache/headworks");
  const own = join(folder, fingerprint(root));
  const main = join(own, "main.js");
  if (existsSync(main)) return main;
  const made = spawnSync(node, [join(root, "scripts/bundle.ts"), own], { stdio: "ignore", cwd: root, env });
  if (made.status !== 0 || !existsSync(main)) return source;
  forgetOld(folder);
  // Compiled into Node's cache, so that the first start is as fast as the next.
  spawnSync(node, [join(root, "scripts/warm.ts"), own], { stdio: "ignore", cwd: root, env });
  return main;
}

/** Of names, sizes and times of change: reading all of it would take as long as it saves. */
function fingerprint(root) {
  const hash = createHash("sha256");
  const add = (path) => {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${path}\0${size}\0${mtimeMs}\n`);
  };
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (!entry.name.endsWith(".d.ts") && !entry.name.endsWith(".test.ts")) add(path);
    }
  };
  walk(join(root, "src"));
  for (const name of ["package-lock.json", "scripts/bundle.ts", "scripts/bundling.ts"]) add(join(root, name));
  return hash.digest("hex").slice(0, 16);
}

function forgetOld(folder) {
  const bundles = readdirSync(folder).map((name) => ({ path: join(folder, name), time: statSync(join(folder, name)).mtimeMs }));
  for (const { path } of bundles.sort((a, b) => b.time - a.time).slice(kept)) rmSync(path, { recursive: true, force: true });
}

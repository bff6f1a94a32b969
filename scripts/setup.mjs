// What `npm start` and `npm test` need before anything else: the dependencies of the lock file, and a Node that can run us.
// Plain JavaScript without dependencies, for whatever Node (18 or later) the person has; the rest of the project runs on the
// Node 24 that npm installs here as a development dependency.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** The oldest Node that runs our TypeScript as it is; `engines` in package.json says the same. */
const oldest = [24, 11];

/** Installs what is missing or stale, and returns the path of a Node that is new enough. Ends the process with one clear line when it cannot. */
export function setUp() {
  if (!isInstalled()) install();
  const node = findNode() ?? repairNode();
  if (node) return node;
  fail(
    `needs Node ${oldest.join(".")} or later. npm should have installed one in node_modules/node, but its install script did not run\n` +
      "(ignore-scripts is set, or it may not reach the registry). Either run `npm rebuild node`, or start this with a newer Node.",
  );
}

/** The stamp holds the hash of the lock file that was installed. Without one, a hand-made `npm ci` is recognised by its own records. */
export function isInstalled(folder = root) {
  const modules = join(folder, "node_modules");
  const lock = readFileSync(join(folder, "package-lock.json"));
  const stamp = join(modules, ".headworks-lock");
  if (!existsSync(modules)) return false;
  if (existsSync(stamp)) return readFileSync(stamp, "utf8") === hashOf(lock);
  const installed = join(modules, ".package-lock.json");
  if (!existsSync(installed) || !sameVersions(JSON.parse(lock), JSON.parse(readFileSync(installed, "utf8")))) return false;
  writeFileSync(stamp, hashOf(lock));
  return true;
}

function sameVersions(wanted, installed) {
  return Object.entries(wanted.packages).every(
    ([path, entry]) => path === "" || entry.optional || installed.packages?.[path]?.version === entry.version,
  );
}

function install() {
  console.error("headworks: installing dependencies (once for each package-lock.json) …");
  const run = npm(["ci", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]);
  if (run.status !== 0) fail("`npm ci` failed; what it says is above. Nothing was started.");
  writeFileSync(join(root, "node_modules", ".headworks-lock"), hashOf(readFileSync(join(root, "package-lock.json"))));
}

function npm(args) {
  const cli = process.env.npm_execpath;
  // stdout of npm goes to our stderr: what we print on stdout is for whoever reads it.
  const options = { cwd: root, stdio: ["ignore", 2, 2] };
  if (cli?.endsWith(".js")) return spawnSync(process.execPath, [cli, ...args], options);
  return spawnSync(process.platform === "win32" ? "npm.cmd" : "npm", args, { ...options, shell: process.platform === "win32" });
}

/** The installed Node, or the one that runs this. */
function findNode() {
  const installed = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  return [installed, process.execPath].find((path) => existsSync(path) && isNewEnough(path));
}

function isNewEnough(path) {
  const version = path === process.execPath ? process.version : spawnSync(path, ["--version"], { encoding: "utf8" }).stdout;
  const [major, minor] = (version ?? "").replace(/^v/, "").split(".").map(Number);
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

/** `npm ci --ignore-scripts` leaves package `node` without its binary; its install script can run afterwards. */
function repairNode() {
  const folder = join(root, "node_modules", "node");
  if (!existsSync(join(folder, "installArchSpecificPackage.js"))) return undefined;
  console.error("headworks: the install script of the package `node` has not run; running it now …");
  spawnSync(process.execPath, ["installArchSpecificPackage.js"], { cwd: folder, stdio: ["ignore", 2, 2] });
  return findNode();
}

function hashOf(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

function fail(message) {
  console.error(`headworks: ${message}`);
  process.exit(2);
}

// `npm run check`: everything that must hold before anyone is asked to look. Each step runs, whatever the others found.
//
//   npm run check                      all
//   npm run check -- --no-tests        the gate without the tests
//   npm run check -- types lint        only these
import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { styleText } from "node:util";

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** What mends it. */
  readonly cure: string;
}

const root = join(import.meta.dirname, "..");
const script = (name: string, ...args: string[]) => [process.execPath, join(root, "scripts", name), ...args];

const steps: readonly Step[] = [
  { name: "format", command: ["biome", "format", "--colors=off", "--max-diagnostics=40", "."], cure: "npm run format" },
  {
    name: "lint",
    command: ["biome", "lint", "--colors=off", "--max-diagnostics=40", "--error-on-warnings", "."],
    cure: "npm run format mends what is mechanical",
  },
  { name: "types", command: ["tsc"], cure: "npm run typecheck" },
  { name: "lockfile", command: script("lockfile.ts"), cure: "node scripts/lockfile.ts --fix" },
  { name: "imports", command: script("imports.ts"), cure: "ARCHITECTURE.md says which way they go" },
  { name: "generated", command: script("generate.ts", "--check"), cure: "npm run generate" },
  { name: "reference", command: script("reference.ts", "--check"), cure: "npm run reference" },
  { name: "tests", command: script("test.mjs"), cure: "npm test -- FILE runs one file" },
];

const args = process.argv.slice(2);
const names = args.filter((each) => !each.startsWith("-"));
const unknown = names.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  console.error(`no such step: ${unknown.join(", ")}; there are ${steps.map((step) => step.name).join(", ")}`);
  process.exit(2);
}
const chosen = steps.filter((step) =>
  names.length > 0 ? names.includes(step.name) : step.name !== "tests" || !args.includes("--no-tests"),
);
const failed = chosen.filter((step) => !passes(step));
for (const step of failed) console.log(`${styleText("red", "✖")} ${step.name}: ${step.cure}`);
console.log(
  failed.length === 0 ? `check: ${chosen.length} of ${chosen.length} steps pass` : `check: ${failed.length} of ${chosen.length} steps fail`,
);
process.exitCode = failed.length === 0 ? 0 : 1;

function passes({ name, command: [program = "", ...rest] }: Step): boolean {
  const started = performance.now();
  const isLong = name === "tests";
  const path = [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter);
  const run = spawnSync(program, rest, {
    cwd: root,
    env: { ...process.env, PATH: path },
    encoding: "utf8",
    stdio: isLong ? "inherit" : "pipe",
    maxBuffer: 1 << 28,
    shell: process.platform === "win32",
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const ok = run.status === 0;
  console.log(`${ok ? styleText("green", "✔") : styleText("red", "✖")} ${name} (${seconds} s)`);
  if (!ok) console.log(`${run.stdout ?? ""}${run.stderr ?? ""}${run.error ? `${run.error.message}\n` : ""}`);
  return ok;
}

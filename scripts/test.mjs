// `npm test`: sets itself up, brings up the real servers it can, runs the tests and ends with one line: `123 passed, 0 failed`.
//
//   npm test -- src/xds           only these
//   npm test -- --long            also the long tests
//   npm test -- --checks          first the gate (format, lint, types, imports, generated code), as CI does
//
// A server that cannot be had is said loudly and its tests are skipped; with HEADWORKS_REQUIRE_SERVERS=1 (CI) it is a failure.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { root, setUp } from "./setup.mjs";
import { summary, tally } from "./tally.mjs";

const flags = new Set(["--long", "--checks"]);
const wanted = new Set(process.argv.slice(2).filter((each) => flags.has(each)));
const vitestArgs = process.argv.slice(2).filter((each) => !flags.has(each));

const node = setUp();
const env = {
  ...process.env,
  PATH: [join(root, "node_modules/.bin"), process.env.PATH].join(delimiter),
  ...(wanted.has("--long") && { HEADWORKS_LONG: "1" }),
};
const run = (...args) => spawnSync(node, args, { cwd: root, stdio: "inherit", env }).status === 0;

const servers = run("test/servers/install.ts");
const checks = !wanted.has("--checks") || run("scripts/check.ts", "--no-tests");

const folder = mkdtempSync(join(tmpdir(), "headworks-test-"));
const report = join(folder, "report.json");
const passed = run(
  "node_modules/vitest/vitest.mjs",
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${report}`,
  ...vitestArgs,
);
const count = tally(readReport(), passed);
rmSync(folder, { recursive: true, force: true });

if (!servers) fail("servers that the tests need are missing; the list is at the top");
if (!checks) fail("the gate (npm run check) found something; it is above");
console.log(summary(count));
process.exit(count.failed === 0 ? 0 : 1);

function fail(why) {
  console.log(`\nFAILED: ${why}`);
  count.failed++;
}

function readReport() {
  try {
    return JSON.parse(readFileSync(report, "utf8"));
  } catch {
    return undefined;
  }
}

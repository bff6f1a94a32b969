// How much of what Gloo Edge 1.22 does we do: runs the recorded cases and counts.
//
//   npm run conformance -- [AREA…] [-v] [--aspects states,routes,…] [--json FILE] [--scratch]
//
// Cases with Consul, or with services that tell of their functions, are run against such servers (test/corpus/lab.ts); what is missing
// for that is said, and counts as not yet. --scratch calls the stages one after the other instead of the incremental flow
// (test/corpus/assemble.ts), and starts no servers.
// The corpus is in $HEADWORKS_CORPUS, or in ../shared/conformance beside the repository. Where we differ on purpose, the case is
// listed in test/corpus/differences.md with the reason; a case that is listed and agrees is an error of the list.
// Exit status 1 when the list is wrong, 2 when there is no corpus.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Case, corpusFolder, readCases } from "../test/corpus/cases.ts";
import { type Aspect, aspects, type Difference, differences, type Output } from "../test/corpus/compare.ts";
import { Lab, needOf } from "../test/corpus/lab.ts";
import { assembleCase, translateCase } from "../test/corpus/translate.ts";

const root = join(import.meta.dirname, "..");
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    verbose: { type: "boolean", short: "v", default: false },
    aspects: { type: "string" },
    json: { type: "string" },
    scratch: { type: "boolean", default: false },
  },
});

const folder = corpusFolder(root);
if (folder === undefined) {
  console.error("no corpus: set HEADWORKS_CORPUS to the folder that holds cases/ and base-settings.json");
  process.exit(2);
}
const wanted = (values.aspects?.split(",") as Aspect[] | undefined) ?? aspects;
const listed = readListed();
const results = new Map<Case, readonly Difference[]>();
const missing = new Map<string, number>();
await using lab = new Lab();
for (const [each, comparing] of begun(readCases(folder, positionals))) {
  const found = await comparing();
  results.set(each, found);
  if (values.verbose && found.length > 0) {
    console.log(
      `${each.id}${listed.has(each.id) ? " (on purpose)" : ""}\n${found.map(({ aspect, text }) => `  ${aspect}: ${text}`).join("\n")}`,
    );
  }
}
print();
for (const [why, count] of missing) console.error(`not run: ${count} cases; ${why}`);
if (values.json)
  writeFileSync(values.json, JSON.stringify(Object.fromEntries([...results].map(([{ id }, found]) => [id, found])), undefined, 1));
const wrong = [...results].filter(([{ id }, found]) => listed.has(id) && found.length === 0 && wanted.length === aspects.length);
for (const [{ id }] of wrong) console.error(`test/corpus/differences.md lists ${id}, but it agrees`);
process.exitCode = wrong.length > 0 ? 1 : 0;

/** Cases with servers mostly wait: those are begun at once. */
function begun(cases: readonly Case[]): (readonly [Case, () => Promise<readonly Difference[]>])[] {
  return cases.map((each) => {
    if (needOf(each) === undefined) return [each, () => compared(each)] as const;
    const early = compared(each);
    return [each, () => early] as const;
  });
}

async function compared(each: Case): Promise<readonly Difference[]> {
  const need = needOf(each);
  const why = need && (values.scratch ? "--scratch starts no servers" : lab.missing(need));
  if (why !== undefined) {
    missing.set(why, (missing.get(why) ?? 0) + 1);
    return [{ aspect: "states", text: `not run: ${why}` }];
  }
  let output: Output;
  try {
    if (need !== undefined) output = await lab.run(each);
    else output = values.scratch ? assembleCase(each) : await translateCase(each);
  } catch (error) {
    return [{ aspect: "states", text: `failed: ${(error as Error).stack?.split("\n").slice(0, 4).join(" ")}` }];
  }
  return differences(each.expected, output, wanted);
}

function print(): void {
  const rows = [...Map.groupBy(results, ([{ area }]) => area)].map(([area, all]) => {
    const agree = all.filter(([, found]) => found.length === 0).length;
    const onPurpose = all.filter(([{ id }, found]) => found.length > 0 && listed.has(id)).length;
    return { area, agree, onPurpose, cases: all.length };
  });
  const sum = (of: "agree" | "onPurpose" | "cases") => rows.reduce((total, row) => total + row[of], 0);
  for (const row of [...rows, { area: "all", agree: sum("agree"), onPurpose: sum("onPurpose"), cases: sum("cases") }]) {
    const open = row.cases - row.agree - row.onPurpose;
    console.log(
      `${row.area.padEnd(12)} ${String(row.agree).padStart(4)} of ${String(row.cases).padStart(3)} agree, ${row.onPurpose} differ on purpose, ${open} not yet`,
    );
  }
}

/** Ids in the list of differences: lines that begin with "- `area/name`" and give a reason after a colon. */
function readListed(): ReadonlySet<string> {
  const text = readFileSync(join(root, "test/corpus/differences.md"), "utf8");
  const ids = new Set<string>();
  for (const line of text.split("\n")) {
    const found = /^- ((?:`[a-z]+\/[^`]+`(?:, )?)+)(.*)$/.exec(line);
    if (found === null) continue;
    if (!/^: \S.{15,}/.test(found[2] ?? "")) throw new Error(`test/corpus/differences.md gives no reason: ${line}`);
    for (const [, id = ""] of (found[1] ?? "").matchAll(/`([^`]+)`/g)) ids.add(id);
  }
  return ids;
}

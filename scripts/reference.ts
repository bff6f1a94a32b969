// The API reference: docs/reference, made from the protos and their comments, and from the cases of test/options.
//
//   npm run reference              writes the pages
//   npm run reference -- --check   exits 1 when they are not up to date, or something on them has no comment
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { apiTable, ourRegistry } from "./dump-api.ts";
import { coverage, undocumented } from "./reference/coverage.ts";
import { indexPage } from "./reference/index.ts";
import { optionsPage, optionsWithoutCase } from "./reference/options.ts";
import { page } from "./reference/page.ts";
import { type Reference, referenceOf } from "./reference/types.ts";

const folder = join(import.meta.dirname, "../docs/reference");

if (import.meta.main) {
  const registry = ourRegistry();
  const reference = referenceOf(registry, apiTable(registry));
  if (process.argv.includes("--check")) process.exitCode = check(reference);
  else write(pages(reference));
  for (const line of coverage(registry, reference)) console.log(line);
}

/** Every page by its path in docs/reference. */
export function pages(reference: Reference): Map<string, string> {
  const files = [...reference.files].map((file) => [reference.pathOf(file), page(file, reference)] as const);
  return new Map([["README.md", indexPage(reference)], ["options.md", optionsPage(reference)], ...files]);
}

/** The pages as they are on disk. */
export function written(): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = names.map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1)).sort();
  return new Map(paths.map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

/** What differs between two sets of pages. */
export function differences(wanted: Map<string, string>, found: Map<string, string>): string[] {
  const paths = [...new Set([...wanted.keys(), ...found.keys()])].sort();
  return paths.filter((path) => wanted.get(path) !== found.get(path));
}

function check(reference: Reference): 0 | 1 {
  const stale = differences(pages(reference), written());
  for (const path of stale) console.error(`docs/reference/${path} is not up to date: run npm run reference`);
  const missing = undocumented(reference);
  for (const name of missing) console.error(`${name} has no comment in the protos`);
  const untested = optionsWithoutCase(reference);
  for (const name of untested) console.error(`${name} has no case in test/options/cases, or is no option`);
  return stale.length + missing.length + untested.length > 0 ? 1 : 0;
}

function write(wanted: Map<string, string>): void {
  rmSync(folder, { recursive: true, force: true });
  for (const [path, text] of wanted) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

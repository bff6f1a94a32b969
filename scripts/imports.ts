// The rules about imports, checked: they go down only, stages and plug-ins are strangers to one another, and what is called pure
// does no I/O and reads no clock and no environment. `docs/decisions` and ARCHITECTURE.md say why.
//
//   node scripts/imports.ts        exit 1 and one line for each import that breaks a rule
import { globSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";

/** From the ground up. A folder may import from rows below its own; within a row, folders are strangers. */
const layers: readonly (readonly string[])[] = [
  ["lib"],
  ["gen"],
  ["model"],
  ["graph", "template", "envoy"],
  ["plugin"],
  ["sources", "discovery", "validate", "routing", "translate", "xds", "xds-client", "dataplane", "status", "state"],
  ["upstreams", "functions", "features"],
  ["builtins.ts"],
  ["flow"],
  ["admin", "admission"],
  ["cli", "index.ts"],
  ["main.ts"],
];

/** Folders whose direct children are islands: `upstreams/consul` never imports `upstreams/kube`. */
const islands = ["upstreams", "functions", "features"];

const pureFolders = ["model", "envoy", "routing", "validate", "translate", "features", "template"];
const pureFiles = /^upstreams\/[^/]+\/(cluster|route|validate)\.ts$/;

/** Of Node itself, what is a function of its arguments. */
const pureBuiltins = new Set(["node:buffer", "node:crypto", "node:path", "node:url", "node:util", "node:assert"]);

const impure: readonly (readonly [RegExp, string])[] = [
  [/\bprocess\s*\./, "reads the process or its environment"],
  [/\b(Date\.now|new Date\(\s*\)|performance\.now)/, "reads a clock"],
  [/\b(Math\.random|randomUUID|randomBytes)\b/, "uses randomness"],
  [/\b(setTimeout|setInterval|setImmediate)\s*\(/, "starts a timer"],
  [/\bfetch\s*\(/, "talks to the network"],
  [/\bconsole\s*\./, "writes to the console"],
];

export interface SourceText {
  /** Below src, with forward slashes. */
  readonly path: string;
  readonly text: string;
}

if (import.meta.main) {
  const src = join(import.meta.dirname, "../src");
  const files = globSync("**/*.ts", { cwd: src, exclude: (name) => name === "gen" }).map((path) => ({
    path: path.replaceAll("\\", "/"),
    text: readFileSync(join(src, path), "utf8"),
  }));
  const findings = checkImports(files);
  for (const finding of findings) console.error(finding);
  console.log(`import rules: ${files.length} files, ${findings.length} broken`);
  process.exitCode = findings.length > 0 ? 1 : 0;
}

/** One line for each broken rule. No files at all is broken too: a check that looked at nothing has not passed. */
export function checkImports(files: readonly SourceText[]): string[] {
  if (files.length === 0) return ["import rules: no file was looked at"];
  return files.filter((file) => !isTest(file.path)).flatMap(checkFile);
}

function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || path.startsWith("lib/testing/");
}

function checkFile({ path, text }: SourceText): string[] {
  const code = withoutComments(text);
  const findings: string[] = [];
  const say = (what: string) => findings.push(`src/${path}: ${what}`);
  const layer = layerOf(path);
  if (layer === -1) say(`"${path.split("/")[0]}" has no place in the layers; add it to scripts/imports.ts`);
  for (const specifier of importsOf(code)) {
    if (specifier.startsWith(".")) {
      const target = posix.join(posix.dirname(path), specifier);
      const why = layer === -1 ? undefined : forbidden(path, target, layer);
      if (why) say(`imports ${target}: ${why}`);
    } else if (isPure(path) && specifier.startsWith("node:") && !pureBuiltins.has(specifier) && !asksOnlyWhatIsAnAddress(code, specifier)) {
      say(`imports ${specifier}, but is pure: facts from outside are arguments`);
    }
  }
  if (isPure(path)) for (const [pattern, what] of impure) if (pattern.test(withoutStrings(code))) say(`${what}, but is pure`);
  return findings;
}

function forbidden(path: string, target: string, layer: number): string | undefined {
  if (isTest(target)) return "that is for tests only";
  const [from, to] = [folderOf(path), folderOf(target)];
  const targetLayer = layerOf(target);
  if (targetLayer === -1) return "it is outside src, or has no place in the layers";
  if (targetLayer > layer) return "imports go down only";
  if (from !== to) return targetLayer === layer ? "they are strangers to one another" : undefined;
  if (islands.includes(from) && islandOf(path) !== islandOf(target)) return "plug-ins are islands";
  return undefined;
}

function layerOf(path: string): number {
  return layers.findIndex((row) => row.includes(folderOf(path)));
}

/** `upstreams` of `upstreams/static/cluster.ts`; the file itself at the top. control-plane.ts is the door of flow/, and of one folder with it. */
function folderOf(path: string): string {
  const folder = path.split("/")[0] as string;
  return folder === "control-plane.ts" ? "flow" : folder;
}

/** `cors` of both `features/cors.ts` and `features/cors/policy.ts`. */
function islandOf(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.ts$/, "");
}

function isPure(path: string): boolean {
  return pureFolders.includes(folderOf(path)) || pureFiles.test(path);
}

/** `isIP` and its kin look at nothing but their argument, whatever module they live in. */
function asksOnlyWhatIsAnAddress(code: string, specifier: string): boolean {
  return specifier === "node:net" && /\bimport\s*\{\s*(isIP(v4|v6)?\s*,?\s*)+\}\s*from\s*["']node:net["']/.test(code);
}

function importsOf(code: string): string[] {
  const statements =
    /(?:^|[;}\s])(?:import|export)\s[^"'`;]*?from\s*["']([^"']+)["']|(?:^|[;\s])import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']/g;
  return [...code.matchAll(statements)].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}

function withoutComments(text: string): string {
  // Strings are kept (imports are strings); a `//` inside one, as in a URL, must not count as a comment.
  return text.replace(
    /("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    (_, string) => string ?? " ",
  );
}

function withoutStrings(code: string): string {
  return code.replace(/"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/g, '""');
}

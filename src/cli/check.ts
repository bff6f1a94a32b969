// `headworks check`: all findings about folders, and an exit code for scripts.
import { translateOnce } from "../control-plane.ts";
import { findingsOfFolder } from "./awaited-functions.ts";
import { exitCodes } from "./exit.ts";
import { countOf, countsOf, type Format, formatFindings } from "./findings.ts";
import { openFolders, scopeOf } from "./folders.ts";
import { loadPlugins } from "./plugins.ts";
import { count, painter, print, say } from "./terminal.ts";

export interface CheckOptions {
  readonly output: Format;
  readonly failOn: "error" | "warning";
  readonly quiet?: boolean;
  readonly config?: string;
}

export async function check(folders: readonly string[], options: CheckOptions): Promise<number> {
  const started = performance.now();
  const plugins = await loadPlugins(options.config);
  const source = await openFolders(folders, plugins);
  const translation = await translateOnce({ source, plugins });
  const { resources } = translation;
  const findings = findingsOfFolder(translation);
  const scope = scopeOf(resources.values());
  const paint = painter(process.stdout);
  const text = await formatFindings(options.output, { findings, textOf: (file) => translation.textOf(file) }, scope, paint);
  if (text !== "") print(text);
  const isEmpty = resources.size === 0 && findings.length === 0;
  if (isEmpty) {
    const isStdin = folders.every((folder) => folder === "-");
    const where = isStdin ? "stdin" : `${folders.join(", ")} (files that end in .yaml, .yml or .json)`;
    say(`${painter(process.stderr)("red", "error:")} there is no configuration in ${where}`);
    return exitCodes.usage;
  }
  const milliseconds = Math.round(performance.now() - started);
  if (!options.quiet)
    say(`checked ${count(scope.resources, "resource")} in ${count(scope.files, "file")} in ${milliseconds} ms: ${countsOf(findings)}`);
  const counted = countOf(findings, "error") + (options.failOn === "warning" ? countOf(findings, "warning") : 0);
  return counted > 0 ? exitCodes.findings : exitCodes.ok;
}

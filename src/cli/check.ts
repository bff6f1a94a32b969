// `headworks check`: all findings about folders or a cluster, and an exit code for scripts.
import { translateOnce } from "../control-plane.ts";
import { withoutEchoes } from "../flow/echoes.ts";
import { findingsOfFolder } from "./awaited-functions.ts";
import { exitCodes } from "./exit.ts";
import { countOf, countsOf, type Format, formatFindings } from "./findings.ts";
import { withFindingsBehind } from "./findings-behind.ts";
import { loadPlugins } from "./plugins.ts";
import { scopeOf, scopeText } from "./scope.ts";
import { painter, print, say } from "./terminal.ts";
import { openOnce, type Where } from "./where.ts";

export interface CheckOptions {
  readonly output: Format;
  readonly failOn: "error" | "warning";
  readonly quiet?: boolean;
  readonly config?: string;
}

export async function check(where: Where, options: CheckOptions): Promise<number> {
  const started = performance.now();
  const plugins = await loadPlugins(options.config);
  using opened = await openOnce(where, plugins);
  const translation = await translateOnce({ source: opened.source, plugins });
  const { resources } = translation;
  const all = await withFindingsBehind(findingsOfFolder(translation), translation, opened.source, plugins);
  const findings = withoutEchoes(all);
  const scope = scopeOf(resources.values(), findings);
  const paint = painter(process.stdout);
  const text = await formatFindings(options.output, { findings, textOf: (file) => translation.textOf(file) }, scope, paint);
  if (text !== "") print(text);
  if (scope.resources === 0 && findings.length === 0) {
    const isFolder = where.kind === "folders" && opened.name !== "stdin";
    say(
      `${painter(process.stderr)("red", "error:")} there is no configuration in ${opened.name}${isFolder ? " (files that end in .yaml, .yml or .json)" : ""}`,
    );
    return exitCodes.usage;
  }
  const milliseconds = Math.round(performance.now() - started);
  const of = where.kind === "cluster" ? ` of ${opened.name}` : "";
  if (!options.quiet) say(`checked ${scopeText(scope)}${of} in ${milliseconds} ms: ${countsOf(findings)}`);
  const counted = countOf(findings, "error") + (options.failOn === "warning" ? countOf(findings, "warning") : 0);
  return counted > 0 ? exitCodes.findings : exitCodes.ok;
}

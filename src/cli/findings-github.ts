// Findings as workflow commands, which GitHub shows as annotations of a pull request:
// https://docs.github.com/actions/reference/workflow-commands-for-github-actions
import type { Finding } from "../control-plane.ts";
import type { Findings } from "./findings.ts";
import { whereOf } from "./findings-pretty.ts";

export function githubFindings({ findings }: Findings): string {
  return findings.map((finding) => `${annotation(finding)}\n`).join("");
}

function annotation(finding: Finding): string {
  const { problem, place } = finding;
  const properties = [
    ...(place ? [`file=${property(place.file)}`, `line=${place.line}`, `col=${place.column}`] : []),
    ...(place?.endColumn ? [`endColumn=${place.endColumn}`] : []),
    `title=${property(`${problem.code} ${problem.reason}`)}`,
  ];
  const message = [place ? problem.message : `${whereOf(finding)}: ${problem.message}`, ...(problem.hint ? [problem.hint] : [])].join("\n");
  return `::${problem.severity} ${properties.join(",")}::${data(message)}`;
}

function data(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

function property(text: string): string {
  return data(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}

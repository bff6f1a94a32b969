// Findings for a person: the place, the code, what is wrong, the lines around it, what would be right.
import type { Finding } from "../control-plane.ts";
import { codeFrame } from "../lib/frame.ts";
import type { Place } from "../model/problem.ts";
import { parseResourceKey } from "../model/ref.ts";
import type { Findings } from "./findings.ts";
import type { Paint } from "./terminal.ts";

export function prettyFindings({ findings, textOf }: Findings, paint: Paint): string {
  return findings.map((finding) => `${prettyFinding(finding, textOf, paint).join("\n")}\n`).join("\n");
}

/** The lines of one finding. */
export function prettyFinding(finding: Finding, textOf: (file: string) => string | undefined, paint: Paint): string[] {
  const { problem, place } = finding;
  const isError = problem.severity === "error";
  const color = isError ? "red" : "yellow";
  const [first = "", ...more] = problem.message.trimEnd().split("\n");
  const head = `${paint(color, isError ? "✖" : "⚠")} ${paint("bold", whereOf(finding))}  ${paint(color, problem.code)} ${first}`;
  const frame = frameOf(finding, textOf, paint);
  const hint = problem.hint && !frame ? [paint("cyan", problem.hint)] : [];
  const about = problem.resource && place ? [paint("dim", aboutOf(finding))] : [];
  return [
    head,
    ...more.map((line) => `  ${line}`),
    ...(frame ?? []).map((line) => `    ${line}`),
    ...[...hint, ...about].map((line) => `    ${line}`),
  ];
}

/** `config/routes.yaml:22:15`, else the resource. */
export function whereOf({ problem, place }: Finding): string {
  if (place) return `${place.file}:${place.line}:${place.column}`;
  if (problem.resource === undefined) return "configuration";
  const { kind, ref } = parseResourceKey(problem.resource);
  return `${kind} ${ref.namespace}/${ref.name}${problem.path ? ` ${problem.path}` : ""}`;
}

function frameOf({ problem, place }: Finding, textOf: (file: string) => string | undefined, paint: Paint): string[] | undefined {
  const text = place && textOf(place.file);
  if (text === undefined) return undefined;
  const color = problem.severity === "error" ? "red" : "yellow";
  const style = { gutter: (part: string) => paint("dim", part), mark: (part: string) => paint(color, part), code: (part: string) => part };
  return codeFrame(text, place as Place, { style, ...(problem.hint && { note: problem.hint }) })?.split("\n");
}

function aboutOf({ problem }: Finding): string {
  return `in ${problem.resource}${problem.path ? ` at ${problem.path}` : ""} · headworks help ${problem.code}`;
}

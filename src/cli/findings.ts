// Findings as text: for people, for programs, for GitHub's annotations and for SARIF viewers.
import type { Finding } from "../control-plane.ts";
import type { Severity } from "../model/problem.ts";
import { count, type Paint } from "./terminal.ts";

export type Format = "pretty" | "json" | "github" | "sarif";

export interface Findings {
  readonly findings: readonly Finding[];
  textOf(file: string): string | undefined;
}

/** What a run looked at, for the last line. */
export interface Scope {
  readonly resources: number;
  readonly files: number;
}

/** Loads only the format that is asked for. */
export async function formatFindings(format: Format, findings: Findings, scope: Scope, paint: Paint): Promise<string> {
  switch (format) {
    case "pretty": {
      const { prettyFindings } = await import("./findings-pretty.ts");
      return prettyFindings(findings, paint);
    }
    case "json": {
      const { jsonFindings } = await import("./findings-json.ts");
      return jsonFindings(findings, scope);
    }
    case "github": {
      const { githubFindings } = await import("./findings-github.ts");
      return githubFindings(findings);
    }
    case "sarif": {
      const { sarifFindings } = await import("./findings-sarif.ts");
      return sarifFindings(findings);
    }
  }
}

export function countOf(findings: readonly Finding[], severity: Severity): number {
  return findings.filter(({ problem }) => problem.severity === severity).length;
}

/** `2 errors · 1 warning` */
export function countsOf(findings: readonly Finding[]): string {
  return `${count(countOf(findings, "error"), "error")} · ${count(countOf(findings, "warning"), "warning")}`;
}

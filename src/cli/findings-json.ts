// Findings for programs: the same JSON as the admin API's /api/v1/findings, with a summary.
import { schemaVersion } from "../admin/contract.ts";
import { findingJson } from "../admin/finding-json.ts";
import { countOf, type Findings, type Scope } from "./findings.ts";

export function jsonFindings({ findings }: Findings, scope: Scope): string {
  const summary = { ...scope, errors: countOf(findings, "error"), warnings: countOf(findings, "warning") };
  return JSON.stringify({ schemaVersion, findings: findings.map((finding) => findingJson(finding)), summary }, undefined, 2);
}

// Findings as SARIF 2.1.0, which code scanning services and editors read: https://docs.oasis-open.org/sarif/sarif/v2.1.0/
import type { Finding } from "../control-plane.ts";
import { packageVersion } from "../lib/package-root.ts";
import { type CatalogEntry, catalog } from "../model/catalog.ts";
import { parseResourceKey } from "../model/ref.ts";
import type { Findings } from "./findings.ts";

export function sarifFindings({ findings }: Findings): string {
  const codes = [...new Set(findings.map(({ problem }) => problem.code))].sort();
  const driver = { name: "headworks", version: packageVersion, rules: codes.map(rule) };
  const results = findings.map((finding) => result(finding, codes));
  const log = {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{ tool: { driver }, columnKind: "utf16CodeUnits", results }],
  };
  return JSON.stringify(log, undefined, 2);
}

function rule(code: string) {
  const [reason, entry] = Object.entries<CatalogEntry>(catalog).find(([, each]) => each.code === code) ?? [code, undefined];
  return { id: code, name: reason, shortDescription: { text: entry?.title ?? reason }, ...(entry && { help: { text: entry.help } }) };
}

function result({ problem, place }: Finding, codes: readonly string[]) {
  const logical = problem.resource && logicalLocation(problem.resource, problem.path);
  const physical = place && {
    artifactLocation: { uri: uriOf(place.file) },
    region: { startLine: place.line, startColumn: place.column, ...(place.endColumn && { endColumn: place.endColumn }) },
  };
  const location = { ...(physical && { physicalLocation: physical }), ...(logical && { logicalLocations: [logical] }) };
  return {
    ruleId: problem.code,
    ruleIndex: codes.indexOf(problem.code),
    level: problem.severity,
    message: { text: problem.hint ? `${problem.message}\n${problem.hint}` : problem.message },
    ...(Object.keys(location).length > 0 && { locations: [location] }),
  };
}

function logicalLocation(key: NonNullable<Finding["problem"]["resource"]>, path: string | undefined) {
  const { kind, ref } = parseResourceKey(key);
  const name = `${kind} ${ref.namespace}/${ref.name}`;
  return { name: ref.name, fullyQualifiedName: path ? `${name} ${path}` : name, kind: "resource" };
}

/** A relative reference with forward slashes; an absolute path becomes a file URI. */
function uriOf(file: string): string {
  const path = file.replaceAll("\\", "/").split("/").map(encodeURIComponent).join("/").replace(/^\.\//, "");
  return path.startsWith("/") ? `file://${path}` : path;
}

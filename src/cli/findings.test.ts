import { expect, test } from "vitest";
import type { Finding } from "../control-plane.ts";
import { problem } from "../model/problem.ts";
import { resourceKey } from "../model/ref.ts";
import { formatFindings } from "./findings.ts";

const file = "config/routes.yaml";
const text = "spec:\n  single:\n    upstrem: {name: petstore}\n";
const key = resourceKey("VirtualService", { namespace: "shop", name: "pets" });
const typo: Finding = {
  problem: problem("error", key, "UnknownField", 'unknown field "upstrem"', { path: "single.upstrem", hint: 'did you mean "upstream"?' }),
  place: { file, line: 3, column: 5, endColumn: 12 },
};
const homeless: Finding = { problem: problem("warning", key, "PluginProblem", "half a loaf,\n100% bread", { path: "options" }) };
const findings = { findings: [typo, homeless], textOf: (name: string) => (name === file ? text : undefined) };
const scope = { resources: 4, files: 3 };
const plain = (_: unknown, part: string) => part;

test("for people: the place, the code, the lines around it, the cure", async () => {
  expect(await formatFindings("pretty", findings, scope, plain)).toBe(`✖ config/routes.yaml:3:5  HW1003 unknown field "upstrem"
      1 | spec:
      2 |   single:
    > 3 |     upstrem: {name: petstore}
        |     ^^^^^^^ did you mean "upstream"?
    in VirtualService shop/pets at single.upstrem · headworks help HW1003

⚠ VirtualService shop/pets options  HW9002 half a loaf,
  100% bread
`);
});

test("for programs: JSON with a version and a summary", async () => {
  const json = JSON.parse(await formatFindings("json", findings, scope, plain));
  expect(json).toMatchObject({ schemaVersion: 1, summary: { resources: 4, files: 3, errors: 1, warnings: 1 } });
  expect(json.findings[0]).toEqual({
    severity: "error",
    code: "HW1003",
    reason: "UnknownField",
    message: 'unknown field "upstrem"',
    hint: 'did you mean "upstream"?',
    resource: { kind: "VirtualService", namespace: "shop", name: "pets" },
    path: "single.upstrem",
    place: { file, line: 3, column: 5, endColumn: 12 },
  });
});

test("for GitHub: one workflow command each, with what would end it escaped", async () => {
  expect(await formatFindings("github", findings, scope, plain)).toBe(
    `::error file=config/routes.yaml,line=3,col=5,endColumn=12,title=HW1003 UnknownField::unknown field "upstrem"%0Adid you mean "upstream"?
::warning title=HW9002 PluginProblem::VirtualService shop/pets options: half a loaf,%0A100%25 bread
`,
  );
});

test("for code scanning: SARIF with a rule for each code", async () => {
  const sarif = JSON.parse(await formatFindings("sarif", findings, scope, plain));
  const [run] = sarif.runs;
  expect(sarif.version).toBe("2.1.0");
  expect(run.tool.driver.rules.map((rule: { id: string }) => rule.id)).toEqual(["HW1003", "HW9002"]);
  expect(run.results[0]).toMatchObject({
    ruleId: "HW1003",
    ruleIndex: 0,
    level: "error",
    locations: [
      {
        physicalLocation: { artifactLocation: { uri: file }, region: { startLine: 3, startColumn: 5, endColumn: 12 } },
        logicalLocations: [{ fullyQualifiedName: "VirtualService shop/pets single.upstrem" }],
      },
    ],
  });
  expect(run.results[1].locations[0].physicalLocation).toBeUndefined();
});

test("nothing found prints nothing for people, and valid documents for programs", async () => {
  const none = { findings: [], textOf: () => undefined };
  expect(await formatFindings("pretty", none, scope, plain)).toBe("");
  expect(await formatFindings("github", none, scope, plain)).toBe("");
  expect(JSON.parse(await formatFindings("json", none, scope, plain)).findings).toEqual([]);
  expect(JSON.parse(await formatFindings("sarif", none, scope, plain)).runs[0].results).toEqual([]);
});

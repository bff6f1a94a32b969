import { describe, expect, test } from "vitest";
import { locateInText } from "./locate-text.ts";
import { readText } from "./read-text.ts";

const text = `# two objects
apiVersion: gateway.solo.io/v1
kind: VirtualService
metadata:
  name: store
  labels: {team: a1}
spec:
  virtual_host:
    domains: [a.test, b.test]
    routes:
    - matchers: [{prefix: /a}]
    - matchers:
      - exact: /b
      options:
        timeout: 5s
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {tls.crt: x}
`;

describe("the place of a field", () => {
  const [store, secret] = readText(text, "f.yaml").resources;
  test.each([
    ["virtualHost.routes[1].options.timeout", 15, 9, 16],
    ["virtualHost.routes[1].options", 14, 7, 14],
    ["virtualHost.routes[1]", 12, 7, undefined],
    ["virtualHost.domains[1]", 9, 23, 29],
    ["virtualHost", 8, 3, 15],
    ["virtual_host.domains", 9, 5, 12],
    ["metadata.labels.team", 6, 12, 16],
    // Not written: the nearest parent that is.
    ["virtualHost.routes[1].options.retries.numRetries", 14, 7, 14],
    ["virtualHost.routes[7]", 10, 5, 11],
    ["sslConfig.secretRef", 3, 1, 21],
    ["", 3, 1, 21],
  ])("%s", (path, line, column, endColumn) => {
    expect(locateInText(text, "f.yaml", store!, path)).toEqual(
      expect.objectContaining({ file: "f.yaml", line, column, ...(endColumn && { endColumn }) }),
    );
  });

  test("of a Kubernetes object, with a key that is no plain word", () => {
    expect(locateInText(text, "f.yaml", secret!, 'stringData["tls.crt"]')).toEqual({ file: "f.yaml", line: 20, column: 14, endColumn: 21 });
  });

  test("is found after the text has moved, and unknown when the object is gone", () => {
    expect(locateInText(`a: b\n---\n${text}`, "f.yaml", store!, "virtualHost")?.line).toBe(10);
    expect(locateInText("a: b", "f.yaml", store!, "virtualHost")).toBeUndefined();
    expect(locateInText("a: [", "f.yaml", store!, "virtualHost")).toBeUndefined();
  });
});

test("a broken text gives no objects, and says where it breaks", () => {
  expect(readText("a: [1", "f.yaml")).toEqual({
    resources: [],
    isBroken: true,
    problems: [
      {
        severity: "error",
        code: "HW1001",
        reason: "SyntaxError",
        message: "the [ is not closed",
        hint: "close the bracket",
        at: { file: "f.yaml", line: 1, column: 4, endColumn: 6 },
      },
    ],
  });
});

test("one object with a mistake leaves the others as they are", () => {
  const { resources } = readText(
    `${text}---\napiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: u}\nspec: {pipe: {pth: /p}}\n`,
    "f.yaml",
  );
  expect(resources.map((each) => [each.key, each.spec !== undefined, each.problems.length])).toEqual([
    ["VirtualService default/store", true, 0],
    ["Secret default/s", true, 0],
    ["Upstream default/u", false, 1],
  ]);
});

describe("a template that nobody has rendered", () => {
  test.each([
    ["a value", "apiVersion: {{ .Values.version }}\nkind: Upstream\nmetadata: {name: a}\n", "f.yaml:1:13"],
    ["a command on a line of its own", "kind: Upstream\n{{- if .Values.on }}\nmetadata: {name: a}\n{{- end }}\n", "f.yaml:2:1"],
    ["the name", "apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata:\n  name: {{ $name }}\n", "f.yaml:4:9"],
  ])("is called that: %s", (_, template, place) => {
    const { problems, resources } = readText(template, "f.yaml");
    expect(resources).toEqual([]);
    expect(problems.map(({ code, message, at }) => `${at?.file}:${at?.line}:${at?.column} ${code} ${message}`)).toEqual([
      `${place} HW1001 this is a template, not yet YAML`,
    ]);
    expect(problems[0]?.hint).toContain("helm template");
  });

  test("the templates of transformations are none", () => {
    const inja = 'kind: [\nx: "{{ header(\\"a\\") }} {% if a %}{{ upper(name) }}{% endif %}"\n';
    expect(readText(inja, "f.yaml").problems.map(({ message }) => message)).not.toContain("this is a template, not yet YAML");
  });
});

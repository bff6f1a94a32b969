import { expect, test } from "vitest";
import { codeFrame } from "./frame.ts";

const text = `routes:
  - matchers: [{prefix: /}]
    routeAction:
      single:
        upstrem: {name: petstore}
`;

test("a frame shows two lines before the place, marks it, and says the cure", () => {
  expect(codeFrame(text, { line: 5, column: 9, endColumn: 16 }, { note: 'did you mean "upstream"?' })).toBe(
    [
      "  3 |     routeAction:",
      "  4 |       single:",
      "> 5 |         upstrem: {name: petstore}",
      '    |         ^^^^^^^ did you mean "upstream"?',
    ].join("\n"),
  );
});

test("a place in the first line has nothing before it", () => {
  expect(codeFrame("a: b", { line: 1, column: 4 })).toBe("> 1 | a: b\n    |    ^");
});

test("line numbers of different length are aligned", () => {
  const lines = Array.from({ length: 10 }, (_, i) => `k${i}: v`).join("\n");
  expect(codeFrame(lines, { line: 10, column: 1, endColumn: 3 })?.split("\n")).toEqual([
    "   8 | k7: v",
    "   9 | k8: v",
    "> 10 | k9: v",
    "     | ^^",
  ]);
});

test("tabs, carriage returns and control characters do not move the carets or reach the terminal", () => {
  expect(codeFrame("\ta:\u001b[31m b\r\n", { line: 1, column: 2, endColumn: 3 })).toBe(">".concat(" 1 |  a: [31m b\n    |  ^"));
});

test("a very long line is cut around the place", () => {
  const line = `${"x".repeat(5_000)}HERE${"y".repeat(5_000)}`;
  const frame = codeFrame(line, { line: 1, column: 5_001, endColumn: 5_005 })!;
  const [code, pointer] = frame.split("\n") as [string, string];
  expect(code.length).toBeLessThan(180);
  expect(pointer.indexOf("^^^^")).toBe(code.indexOf("HERE"));
});

test("a place that the text does not have gives no frame", () => {
  expect(codeFrame("a: b", { line: 7, column: 1 })).toBeUndefined();
});

test("the parts can be styled", () => {
  const style = { gutter: (t: string) => `<g>${t}</g>`, mark: (t: string) => `<m>${t}</m>`, code: (t: string) => `<c>${t}</c>` };
  expect(codeFrame("a: b", { line: 1, column: 1 }, { style })).toBe("<m>></m> <g>1 |</g> <c>a: b</c>\n<g>    |</g> <m>^</m>");
});

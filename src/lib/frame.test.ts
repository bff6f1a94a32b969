import { expect, test } from "vitest";
import { codeFrame } from "./frame.ts";

const text = "a: 1\nb:\n  upstrem: petstore\nc: 3\n";

test("the place is marked, below two lines of what comes before", () => {
  expect(codeFrame(text, { line: 3, column: 3, endColumn: 10 }, 'did you mean "upstream"?')).toEqual([
    "  1 | a: 1",
    "  2 | b:",
    "> 3 |   upstrem: petstore",
    '    |   ^^^^^^^ did you mean "upstream"?',
  ]);
});

test("the first line has nothing before it; without an end one character is marked", () => {
  expect(codeFrame(text, { line: 1, column: 4 })).toEqual(["> 1 | a: 1", "    |    ^"]);
});

test("line numbers of different lengths align", () => {
  const long = Array.from({ length: 10 }, (_, index) => `line ${index + 1}`).join("\r\n");
  expect(codeFrame(long, { line: 10, column: 1 })).toEqual(["   8 | line 8", "   9 | line 9", "> 10 | line 10", "     | ^"]);
});

test("a place beyond the end of its line is marked at the end; a line beyond the text gives nothing", () => {
  expect(codeFrame(text, { line: 1, column: 99, endColumn: 120 })?.at(-1)).toBe("    |     ^");
  expect(codeFrame(text, { line: 50, column: 1 })).toBeUndefined();
});

test("a very long line is cut, and control characters do not reach the terminal", () => {
  const frame = codeFrame(`${"x".repeat(5000)}`, { line: 1, column: 2000 });
  expect(Math.max(...(frame ?? []).map((line) => line.length))).toBeLessThan(200);
  expect(codeFrame("a\u001b[31mb", { line: 1, column: 1 })?.[0]).toBe("> 1 | a�[31mb");
});

test("the mark stands below its text where tabs indent it", () => {
  expect(codeFrame("\tkey: 1", { line: 1, column: 2, endColumn: 5 })).toEqual(["> 1 | \tkey: 1", "    | \t^^^"]);
});

import { expect, test } from "vitest";
import { regexFault } from "./regex.ts";
import { regexCure } from "./regex-cure.ts";

test.each([
  ["/(?=a)", "RE2 has no look-ahead: write out"],
  ["/(?!a)", "put a route for what is excluded in front"],
  ["/(?<=a)", "RE2 has no look-behind: write out"],
  ["/(?<!a)", "put a route for what is excluded in front"],
  ["(a)\\1", "RE2 has no back-references"],
  ["\\k<n>", "RE2 has no back-references"],
  ["(?>a)", "RE2 has no atomic groups"],
  ["a++", "RE2 has no possessive repeats"],
  ["a\\Z", "write $"],
  ["a{2000}", "at most 1000 times"],
  ["*", "for anything, write .*"],
  ["(", "close the bracket"],
  ["[a", "close the class"],
  ["[z-a]", "as in [a-z]"],
  ["\\p{Foo}", "none of this name"],
  ["/a{200}", "raise regexMaxProgramSize"],
  ["\\", "write the expression in RE2"],
])("%s", (regex, cure) => {
  expect(regexCure(regexFault(regex) ?? "")).toContain(cure);
});

test("other faults are not its business", () => {
  expect(regexCure("no path specifier provided")).toBeUndefined();
});

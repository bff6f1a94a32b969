import { expect, test } from "vitest";
import { expressionFault, matchesExpressions, matchesLabels } from "./label-selector.ts";

const labels = { team: "x", n: "5" };
// By number: Equals, DoubleEquals, NotEquals, In, NotIn, Exists, DoesNotExist, GreaterThan, LessThan.
const is = (key: string, operator: number, ...values: string[]) => matchesExpressions([{ key, operator, values }], labels);

test("expressions follow Kubernetes, also for labels that are not there", () => {
  expect(is("team", 0, "x") && is("team", 1, "x") && is("team", 3, "y", "x")).toBe(true);
  expect(is("gone", 2, "x") && is("gone", 4, "x") && is("gone", 6)).toBe(true);
  expect(is("gone", 0, "x") || is("gone", 5) || is("gone", 7, "1")).toBe(false);
  expect(is("n", 7, "3") && is("n", 8, "10")).toBe(true);
  expect(is("team", 7, "3")).toBe(false);
});

test("an empty map of labels picks everything", () => {
  expect(matchesLabels({}, labels)).toBe(true);
  expect(matchesLabels({ team: "y" }, labels)).toBe(false);
});

test("what cannot be used is said in the words of Kubernetes", () => {
  expect(expressionFault([{ key: "a", operator: 3, values: [] }])).toBe(
    "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty",
  );
  expect(expressionFault([{ key: "a", operator: 7, values: ["x"] }])).toContain("the value must be an integer");
  expect(expressionFault([{ key: "a", operator: 5, values: [] }])).toBeUndefined();
});

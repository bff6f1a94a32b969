import { expect, test } from "vitest";
// @ts-expect-error plain JavaScript, so that it runs before anything is installed
import { summary, tally } from "./tally.mjs";

test("passed, failed and skipped tests are counted", () => {
  expect(summary(tally({ numPassedTests: 120, numFailedTests: 2, numPendingTests: 1, numTodoTests: 1 }, false))).toBe(
    "120 passed, 2 failed, 2 skipped",
  );
  expect(summary(tally({ numPassedTests: 123, numFailedTests: 0 }, true))).toBe("123 passed, 0 failed");
});

test("a test file that cannot be loaded is a failure", () => {
  const report = { numPassedTests: 5, numFailedTests: 0, testResults: [{ status: "failed", assertionResults: [] }] };
  expect(tally(report, false).failed).toBe(1);
});

test("a run that ended badly, wrote nothing or found no test never has 0 failures", () => {
  expect(tally({ numPassedTests: 5, numFailedTests: 0 }, false).failed).toBe(1);
  expect(tally(undefined, true).failed).toBe(1);
  expect(tally({ numPassedTests: 0, numFailedTests: 0 }, true).failed).toBe(1);
});

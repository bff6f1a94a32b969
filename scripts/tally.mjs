// Counts of a test run, from vitest's JSON report.

/** @param report vitest's JSON report; undefined when it did not get as far as writing one. @param succeeded whether vitest ended with 0 */
export function tally(report, succeeded) {
  const count = { passed: report?.numPassedTests ?? 0, failed: report?.numFailedTests ?? 0, skipped: 0 };
  count.skipped = (report?.numPendingTests ?? 0) + (report?.numTodoTests ?? 0);
  // A file that cannot be loaded has no tests to count; it is one failure.
  for (const file of report?.testResults ?? []) if (file.status === "failed" && file.assertionResults.length === 0) count.failed++;
  // Nothing ran, or something failed outside of any test (an unhandled rejection): never "0 failed".
  if (count.failed === 0 && (!succeeded || count.passed === 0)) count.failed = 1;
  return count;
}

/** `123 passed, 0 failed`, with the skipped ones after it when there are any. */
export function summary(count) {
  return `${count.passed} passed, ${count.failed} failed${count.skipped > 0 ? `, ${count.skipped} skipped` : ""}`;
}

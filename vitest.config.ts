import { defineConfig } from "vitest/config";

const tests = ["scripts/**/*.test.ts", "src/**/*.test.ts", "test/**/*.test.ts", "examples/**/*.test.ts"];

/** They measure milliseconds: nothing else runs beside them, however many workers there are. Few, for what they take is added. */
const alone = [
  "src/upstreams/consul/discover.test.ts",
  "test/e2e/kubernetes-scale.test.ts",
  "test/e2e/kubernetes-storm.test.ts",
  "test/e2e/scale.test.ts",
];

export default defineConfig({
  test: {
    pool: "forks",
    // Patience costs nothing: nothing waits longer than it must, but on a busy machine servers take their time. What is promised to
    // be quick is measured by the test itself.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    projects: [
      { extends: true, test: { name: "tests", include: tests, exclude: ["**/node_modules/**", ...alone] } },
      { extends: true, test: { name: "alone", include: alone, fileParallelism: false, sequence: { groupOrder: 1 } } },
    ],
  },
});

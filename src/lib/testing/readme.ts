// READMEs that cannot rot: every YAML block in one is translated, and must be served without a finding.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { clusterStory } from "./clusters.ts";

/** One test for each YAML block. A block that begins with `# refused: REASON` must be refused for that reason. */
export function readmeExamples(file: string): void {
  const blocks = [...readFileSync(file, "utf8").matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  if (blocks.length === 0) throw new Error(`${file} has no YAML`);
  for (const [i, block] of blocks.entries()) {
    const reason = /^# refused: (\w+)/.exec(block)?.[1];
    test(`README, example ${i + 1}: ${reason === undefined ? "is served" : `is refused, ${reason}`}`, () => {
      const { clusters = [], problems = [] } = clusterStory(block);
      if (reason === undefined) {
        expect(problems).toEqual([]);
        expect(clusters.length).toBeGreaterThan(0);
      } else expect(problems.join("\n")).toContain(` ${reason} `);
    });
  }
}

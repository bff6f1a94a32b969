// READMEs that cannot rot: every YAML block in one is read and translated as a file of a user's would be.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { builtins } from "../../builtins.ts";
import { translateOnce } from "../../control-plane.ts";
import { customKinds } from "../../plugin/config.ts";
import type { Plugins } from "../../plugin/plugins.ts";
import { memorySource } from "../../sources/memory.ts";
import { readText } from "../../sources/read-text.ts";
import { clusterStory } from "./clusters.ts";

/**
 * One test for each YAML block. It must be served without a finding; one that begins with `# warned: REASON` with this one only. A
 * block that begins with `# refused: REASON` must be refused for that reason.
 */
export function readmeExamples(file: string, plugins: Plugins = builtins): void {
  const blocks = [...readFileSync(file, "utf8").matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, block = ""]) => block);
  if (blocks.length === 0) throw new Error(`${file} has no YAML`);
  for (const [i, block] of blocks.entries()) {
    const [, outcome = "served", reason] = /^# (refused|warned): (\w+)/.exec(block) ?? [];
    test(`README, example ${i + 1}: is ${outcome}${reason === undefined ? "" : `, ${reason}`}`, async () => {
      const { clusters = [] } = clusterStory(block, plugins);
      const found = await findings(block, plugins);
      if (outcome === "refused") expect(found).toContain(`error ${reason}`);
      else {
        expect(found.filter((each) => each !== `warning ${reason}`)).toEqual([]);
        expect(found.length > 0).toBe(reason !== undefined);
        expect(clusters.length).toBeGreaterThan(0);
      }
    });
  }
}

async function findings(yaml: string, plugins: Plugins): Promise<string[]> {
  const { resources, problems } = readText(yaml, "README.yaml", { customKinds: customKinds(plugins) });
  const { findings } = await translateOnce({ source: memorySource(resources), plugins });
  return [...problems, ...findings.map(({ problem }) => problem)].map(({ severity, reason }) => `${severity} ${reason}`);
}

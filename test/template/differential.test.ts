// The two back-ends of templates side by side: closures in this process, Lua in a real Envoy. Same bytes, same refusals in the same words.
import { afterAll, beforeAll, expect, test } from "vitest";
import { findEnvoy } from "../servers/envoy.ts";
import { byClosures, type LuaInEnvoy, luaInEnvoy } from "./lua-in-envoy.ts";
import { type RandomCase, randomCase } from "./random.ts";

const here = test.skipIf(findEnvoy() === undefined);
const isLong = process.env.HEADWORKS_LONG === "1";
const count = isLong ? 50_000 : 1_000;
const first = Number(process.env.HEADWORKS_SEED ?? 1);

let lua: LuaInEnvoy;
beforeAll(async () => {
  if (findEnvoy() !== undefined) lua = await luaInEnvoy();
});
afterAll(async () => {
  await lua?.[Symbol.asyncDispose]();
});

here(`${count} random transformations do the same to a message in both`, { timeout: isLong ? 1_800_000 : 60_000 }, async () => {
  let [tried, refused, seed] = [0, 0, first];
  while (tried < count) {
    const batch: (RandomCase & { readonly seed: number })[] = [];
    for (; batch.length < 250 && tried + batch.length < count; seed++) {
      const each = randomCase(seed);
      if (each) batch.push({ ...each, seed });
    }
    const results = await lua.run(batch.map(({ sample }) => sample));
    batch.forEach(({ seed, text, sample }, i) => {
      const result = byClosures(sample);
      if ("refused" in result) refused++;
      expect(results[i], `seed ${seed}: ${text}\nbody ${JSON.stringify(sample.body)} headers ${JSON.stringify(sample.headers)}`).toEqual(
        result,
      );
    });
    tried += batch.length;
  }
  // Enough of them come to something.
  expect(refused / tried).toBeLessThan(0.7);
});

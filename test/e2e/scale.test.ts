// A folder with 1,000 Upstreams and 1,000 routes: how soon an edit is served, and a typo reported.
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { realistic } from "../../src/lib/testing/realistic.ts";
import { ask, backend, folder, proxies, run, untilAnswers, upstream, virtualService } from "./gateway.ts";

const edits = 15;
/** Others use this machine as well: a few of a hundred runs are slow from end to end. */
const attempts = 4;

describe.each(proxies)("1,000 Upstreams and 1,000 routes, --proxy %s", (proxy) => {
  test("an edit is served within 50 ms, a typo reported within 100 ms while the old route serves (medians)", {
    timeout: 180_000,
  }, async () => {
    await using one = await backend("one");
    await using two = await backend("two");
    using config = await folder();
    for (const each of realistic({ upstreams: 1_000, routes: 1_000 }))
      config.write(`${each.kind}/${each.metadata.namespace}/${each.metadata.name}.yaml`, each);
    config.write("one.yaml", upstream("one", one.port));
    config.write("two.yaml", upstream("two", two.port));
    config.write("a.yaml", virtualService("a", "one"));
    await using running = await run(config, "--proxy", proxy, "--xds", `unix:${config.path}/xds.sock`);
    await untilAnswers(config.port, "a.test", "one /");

    const served = async (to: "one" | "two") => {
      await delay(80);
      const from = performance.now();
      config.write("a.yaml", virtualService("a", to));
      while ((await ask(config.port, "a.test"))?.body !== `${to} /`);
      return performance.now() - from;
    };
    const reported = async (round: number) => {
      config.write("a.yaml", virtualService("a", "one"));
      await untilAnswers(config.port, "a.test", "one /");
      await delay(80);
      const typo = JSON.stringify(virtualService("a", "two"), undefined, 1).replace('"upstream"', `"upstrem${round}"`);
      const line = typo.slice(0, typo.indexOf("upstrem")).split("\n").length;
      const from = performance.now();
      const said = running.said(new RegExp(`a\\.yaml:${line}:\\d+ {2}HW1003.*\\n?.*upstrem${round}`));
      config.write("a.yaml", typo);
      await said;
      const took = performance.now() - from;
      expect((await ask(config.port, "a.test"))?.body).toBe("one /");
      return took;
    };

    const best = { served: Number.POSITIVE_INFINITY, reported: Number.POSITIVE_INFINITY };
    for (let attempt = 0; attempt < attempts && (best.served > 50 || best.reported > 100); attempt++) {
      const servedMs: number[] = [];
      for (let i = 0; i < edits; i++) servedMs.push(await served(i % 2 === 0 ? "two" : "one"));
      const reportedMs: number[] = [];
      for (let i = 0; i < edits; i++) reportedMs.push(await reported(attempt * edits + i));
      best.served = Math.min(best.served, median(servedMs));
      best.reported = Math.min(best.reported, median(reportedMs));
      console.log(`${proxy}: served ${text(servedMs)}; typo reported ${text(reportedMs)}`);
    }
    expect(best.served).toBeLessThanOrEqual(50);
    expect(best.reported).toBeLessThanOrEqual(100);
  });
});

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function text(values: readonly number[]): string {
  return `${median(values).toFixed(1)} ms (${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}, ${values.length} edits)`;
}

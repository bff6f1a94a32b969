// A cluster with thousands of Upstreams: how soon a change is live, and how much memory that takes. The large one is for the long run.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { realistic } from "../../src/lib/testing/realistic.ts";
import { cluster, hasKubernetes, runOn } from "./cluster.ts";
import { ask, backend, proxies, untilAnswers, upstream, virtualService } from "./gateway.ts";

const proxy = proxies.at(-1) as string;
const edits = 30;
/** Others use this machine as well. */
const attempts = 4;

const sizes = [
  { upstreams: 1_000, virtualServices: 100, mostMs: 30, mostMB: 320 },
  { upstreams: 10_000, virtualServices: 1_000, mostMs: 60, mostMB: 400 },
];

describe.skipIf(!hasKubernetes || process.env.HEADWORKS_LONG !== "1").each(sizes)(
  `a cluster with $upstreams Upstreams, --proxy ${proxy}`,
  (size) => {
    test(`a change is live within ${size.mostMs} ms (median), in ${size.mostMB} MB`, { timeout: 300_000 }, async () => {
      await using one = await backend("one");
      await using two = await backend("two");
      await using on = await cluster();
      const { kubernetes, port } = on;
      // A route in each: what Envoy takes to make a table of 10,000 routes anew is not ours to shorten.
      const all = realistic({ upstreams: size.upstreams, routes: size.virtualServices, routesPerTable: 1 });
      const objects = all.filter(({ kind }) => kind !== "Gateway");
      await kubernetes.apply(...objects, upstream("one", one.port), upstream("two", two.port), virtualService("a", "one"));
      // Statuses of all of them are another test's.
      await using running = await runOn(on, "--proxy", proxy, "--read-only");
      await untilAnswers(port, "a.test", "one /");

      const median = async (change: (to: "one" | "two") => object) => {
        const took: number[] = [];
        for (let edit = 0; edit < edits; edit++) {
          await delay(80);
          const to = edit % 2 === 0 ? "two" : "one";
          const from = performance.now();
          await kubernetes.apply(change(to));
          while ((await ask(port, "a.test"))?.body !== `${to} /`);
          took.push(performance.now() - from);
        }
        return took.sort((a, b) => a - b)[edits >> 1] as number;
      };
      const best = { virtualService: Number.POSITIVE_INFINITY, upstream: Number.POSITIVE_INFINITY };
      for (let attempt = 0; attempt < attempts && Math.max(best.virtualService, best.upstream) > size.mostMs; attempt++) {
        best.virtualService = Math.min(best.virtualService, await median((to) => virtualService("a", to)));
        best.upstream = Math.min(best.upstream, await median((to) => upstream("one", to === "one" ? one.port : two.port)));
      }
      const status = readFileSync(`/proc/${running.process.pid}/status`, "utf8");
      const [memoryMB = 0, peakMB = 0] = ["VmRSS", "VmHWM"].map(
        (name) => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1024,
      );
      const memory = `${memoryMB.toFixed(0)} MB (peak ${peakMB.toFixed(0)})`;
      const figures = `VirtualService ${best.virtualService.toFixed(1)} ms, Upstream ${best.upstream.toFixed(1)} ms, ${memory}`;
      console.log(`${size.upstreams} Upstreams, ${size.virtualServices} VirtualServices, applied → live (medians of ${edits}): ${figures}`);
      expect(best.virtualService).toBeLessThanOrEqual(size.mostMs);
      expect(best.upstream).toBeLessThanOrEqual(size.mostMs);
      expect(peakMB).toBeLessThanOrEqual(size.mostMB);
    });
  },
);

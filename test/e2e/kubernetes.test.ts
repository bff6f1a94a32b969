// A cluster, Headworks and a data plane: what is applied is served, and nothing that happens to the API server is felt by a request.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bestOf, bestOfThree } from "../../src/lib/testing/bestOf.ts";
import { type Cluster, cluster, endpointSlice, hasKubernetes, ownAddress, runOn, startOn } from "./cluster.ts";
import { ask, backend, object, proxies, until, untilAnswers, upstream, virtualService } from "./gateway.ts";

const proxy = proxies.at(-1) as string;
const isLong = process.env.HEADWORKS_LONG === "1";

describe.skipIf(!hasKubernetes)(`a cluster, --proxy ${proxy}`, () => {
  let on: Cluster;
  beforeAll(async () => {
    on = await cluster();
  });
  afterAll(() => on?.[Symbol.asyncDispose]());

  test("what is applied is live in milliseconds, and stays so while the API server crashes and hangs", {
    timeout: 400_000,
    ...bestOfThree,
  }, async () => {
    const { kubernetes, port, adminPort } = on;
    await using one = await backend("one");
    await using two = await backend("two");
    await kubernetes.apply(upstream("one", one.port), upstream("two", two.port), virtualService("a", "one"));
    await using running = await runOn(on, "--proxy", proxy);
    await untilAnswers(port, "a.test", "one /");

    const took: number[] = [];
    for (let edit = 0; edit < 11; edit++) {
      await delay(50);
      const to = edit % 2 === 0 ? "two" : "one";
      const from = performance.now();
      await kubernetes.apply(virtualService("a", to));
      while ((await ask(port, "a.test"))?.body !== `${to} /`);
      took.push(performance.now() - from);
    }
    console.log(
      `VirtualService applied → live: median ${median(took).toFixed(1)} ms (${Math.min(...took).toFixed(1)} to ${Math.max(...took).toFixed(1)})`,
    );

    const sources = () => sourcesOf(adminPort);
    const load = probe(port, "a.test");
    const before = load.count();
    for (let round = 0; round < (isLong ? 20 : 2); round++) {
      await kubernetes.apiServer.kill();
      await expect
        .poll(sources)
        .toMatchObject([{ name: "kubernetes", state: "unreachable", faults: [expect.stringContaining("cannot be used since")] }]);
      expect(await (await fetch(`http://127.0.0.1:${adminPort}/metrics`)).text()).toContain('headworks_source_up{source="kubernetes"} 0');
      await kubernetes.apiServer.start();
      const back = performance.now();
      await kubernetes.apply(virtualService("a", round % 2 === 0 ? "one" : "two"));
      await untilAnswers(port, "a.test", round % 2 === 0 ? "one /" : "two /");
      expect(performance.now() - back).toBeLessThan(5000);
      await expect.poll(sources).toMatchObject([{ state: "following", faults: [] }]);
    }
    expect(running.stderr()).toMatch(/HW6010 is resolved/);
    kubernetes.apiServer.pause();
    await delay(500);
    kubernetes.apiServer.resume();
    const { asked, failed } = await load.end();
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(before + 100);
    expect(await (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).text()).toContain("ok");
  });

  test.skipIf(!isLong)("an API server that hangs for a minute is noticed, and goes on where it was", { timeout: 240_000 }, async () => {
    const { kubernetes, port, adminPort } = on;
    await using one = await backend("one");
    await using two = await backend("two");
    await kubernetes.apply(upstream("one", one.port), upstream("two", two.port), virtualService("hang", "one"));
    await using running = await runOn(on, "--proxy", proxy);
    await untilAnswers(port, "hang.test", "one /");
    const load = probe(port, "hang.test");
    const begun = performance.now();
    kubernetes.apiServer.pause();
    let noticed = 0;
    try {
      await until("it is noticed", async () => JSON.stringify(await sourcesOf(adminPort)).includes('"unreachable"'));
      noticed = performance.now() - begun;
      await delay(60_000 - noticed);
    } finally {
      kubernetes.apiServer.resume();
    }
    const back = performance.now();
    await kubernetes.apply(virtualService("hang", "two"));
    await untilAnswers(port, "hang.test", "two /");
    const recovered = performance.now() - back;
    await until("it follows", async () => JSON.stringify(await sourcesOf(adminPort)).includes('"following"'), 10_000);
    const { asked, failed } = await load.end();
    const seconds = (ms: number) => (ms / 1000).toFixed(1);
    console.log(
      `hung for ${seconds(back - begun)} s: noticed after ${seconds(noticed)} s, a change live ${seconds(recovered)} s after it went on; ${asked} requests meanwhile, ${failed.length} failed`,
    );
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(1000);
    expect(recovered).toBeLessThan(5000);
    expect(running.process.exitCode).toBeNull();
  });

  test("the endpoints of a Service are followed", { timeout: 240_000 }, async (context) => {
    const address = ownAddress();
    if (address === undefined) return context.skip("this machine has only loopback, which endpoints may not have");
    const { kubernetes, port } = on;
    await using one = await listening("one");
    await using two = await listening("two");
    await kubernetes.apply(
      { apiVersion: "v1", kind: "Service", metadata: { name: "svc", namespace: "gloo-system" }, spec: { ports: [{ port: 80 }] } },
      endpointSlice("svc", address, one.port),
      object("Upstream", "svc", { kube: { serviceName: "svc", serviceNamespace: "gloo-system", servicePort: 80 } }),
      virtualService("svc", "svc"),
    );
    await using _ = await runOn(on, "--proxy", proxy);
    await untilAnswers(port, "svc.test", "one");
    const measure = async () => {
      const took: number[] = [];
      for (let edit = 0; edit < (isLong ? 30 : 11); edit++) {
        await delay(50);
        const to = edit % 2 === 0 ? two : one;
        const from = performance.now();
        await kubernetes.apply(endpointSlice("svc", address, to.port));
        while ((await ask(port, "svc.test"))?.body !== to.name);
        took.push(performance.now() - from);
      }
      console.log(
        `EndpointSlice applied → live: median of ${took.length} ${median(took).toFixed(1)} ms (${Math.min(...took).toFixed(1)} to ${Math.max(...took).toFixed(1)})`,
      );
      return median(took);
    };
    if (isLong) expect(await bestOf(4, 30, measure)).toBeLessThanOrEqual(30);
    else await measure();
  });

  test(
    "a start while the API server is away serves what is remembered; without a memory it waits, and is not ready",
    bestOfThree,
    async () => {
      const { kubernetes, port, adminPort } = on;
      await using one = await backend("one");
      const folder = mkdtempSync(join(tmpdir(), "headworks-state-"));
      try {
        await kubernetes.apply(upstream("kept", one.port), virtualService("kept", "kept"));
        {
          await using running = await runOn(on, "--proxy", proxy, "--state-dir", folder);
          await untilAnswers(port, "kept.test", "one /");
          running.process.kill("SIGTERM");
          await running.ended;
        }
        kubernetes.apiServer.pause();
        {
          await using running = startOn(on, "--proxy", proxy);
          await running.said(/nothing is served yet: the Kubernetes API at .* cannot be used/);
          await until(
            "it is not ready",
            async () => (await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined))?.status === 503,
          );
          expect(await ask(port, "kept.test")).toBeUndefined();
          const asked = performance.now();
          running.process.kill("SIGINT");
          expect((await running.ended).code).toBe(130);
          expect(performance.now() - asked).toBeLessThan(5000);
        }
        await using running = await runOn(on, "--proxy", proxy, "--state-dir", folder);
        await untilAnswers(port, "kept.test", "one /");
        await running.said(/HW6010/);
        kubernetes.apiServer.resume();
        await running.said(/HW6010 is resolved/);
        expect((await ask(port, "kept.test"))?.body).toBe("one /");
      } finally {
        kubernetes.apiServer.resume();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});

async function sourcesOf(adminPort: number): Promise<readonly object[]> {
  return ((await (await fetch(`http://127.0.0.1:${adminPort}/api/v1/sources`)).json()) as { readonly sources: object[] }).sources;
}

/** Asks all the time; what is no 200 is a failure. */
function probe(port: number, host: string) {
  let isOver = false;
  let asked = 0;
  const failed: string[] = [];
  const run = (async () => {
    while (!isOver) {
      const answer = await ask(port, host);
      asked++;
      if (answer?.status !== 200) failed.push(`${answer?.status} ${answer?.body}`);
      await delay(5);
    }
  })();
  return {
    count: () => asked,
    async end() {
      isOver = true;
      await run;
      return { asked, failed };
    },
  };
}

/** On all addresses of this machine. */
async function listening(name: string) {
  const server = createServer((_, answer) => answer.end(name));
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  return {
    name,
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

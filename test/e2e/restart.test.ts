// The control plane is never on the request path: Envoy under load while Headworks goes and comes.
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { envoyOn, stat, withEnvoy } from "../conformance/xds/envoy.ts";
import { freePort } from "../servers/ports.ts";
import { ask, backend, folder, run, until, untilAnswers, upstream, virtualService } from "./gateway.ts";

withEnvoy("an Envoy of one's own", () => {
  test("kill -9 of Headworks under load fails no request; its restart with nothing changed is no change; the next edit arrives", async () => {
    await using one = await backend("one");
    await using two = await backend("two");
    using config = await folder();
    const xdsPort = await freePort();
    config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
    config.write("a.yaml", virtualService("a", "one"));
    const args = ["--proxy", "none", "--xds", `127.0.0.1:${xdsPort}`];
    await using first = await run(config, ...args);
    await using envoy = await envoyOn({ host: "127.0.0.1", port: xdsPort }, { proxy: "gloo-system~gateway-proxy" });
    await untilAnswers(config.port, "a.test", "one /");

    const counts = { asked: 0, failed: 0 };
    const load = { on: true };
    const workers = Array.from({ length: 4 }, async () => {
      while (load.on) {
        counts.asked++;
        const answer = await ask(config.port, "a.test");
        if (answer?.status !== 200) counts.failed++;
      }
    });
    await delay(300);
    first.process.kill("SIGKILL");
    await first.ended;
    await delay(700);
    const changes = async () => {
      const names = ["cluster_manager.cds.update_success", "listener_manager.lds.update_success"];
      const modified = [
        "cluster_manager.cluster_modified",
        "cluster_manager.cluster_added",
        "listener_manager.listener_modified",
        "listener_manager.listener_added",
      ];
      return {
        updates: await Promise.all(names.map((name) => stat(envoy, name))),
        modified: await Promise.all(modified.map((name) => stat(envoy, name))),
      };
    };
    const before = await changes();
    await using _second = await run(config, ...args);
    await until("Envoy is connected again", async () => (await stat(envoy, "control_plane.connected_state")) === 1);
    await delay(500);
    expect((await changes()).modified).toEqual(before.modified);

    config.write("a.yaml", virtualService("a", "two"));
    await untilAnswers(config.port, "a.test", "two /");
    load.on = false;
    await Promise.all(workers);
    console.log(`${counts.asked} requests while Headworks was killed and started again, ${counts.failed} failed`);
    expect(counts.asked).toBeGreaterThan(100);
    expect(counts.failed).toBe(0);
  });
});

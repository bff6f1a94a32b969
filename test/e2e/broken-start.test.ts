// A control plane that starts with a mistake in its files does not take from remote proxies what they serve well.
import { rmSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { envoyOn } from "../conformance/xds/envoy.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { freePort, freePorts } from "../servers/ports.ts";
import { ask, backend, type Folder, folder, object, run, until, untilAnswers, upstream, virtualService } from "./gateway.ts";
import { start } from "./headworks.ts";

const clients: Readonly<Record<string, (xdsPort: number) => Promise<AsyncDisposable>>> = {
  async "headworks proxy"(xdsPort) {
    const running = start(["proxy", "--xds", `127.0.0.1:${xdsPort}`, "--admin", "none", "--log", "pretty"]);
    await running.said(/ ready {2}/);
    return running;
  },
  ...(findEnvoy() && {
    Envoy: (xdsPort: number) => envoyOn({ host: "127.0.0.1", port: xdsPort }, { proxy: "gloo-system~gateway-proxy" }),
  }),
};

const gateway = (name: string, bindPort: number, labels?: object) =>
  object("Gateway", name, {
    bindAddress: "127.0.0.1",
    bindPort,
    httpGateway: labels ? { virtualServiceSelector: labels } : {},
  });
const labelled = (name: string, to: string, labels: object) => {
  const made = virtualService(name, to);
  return { ...made, metadata: { ...made.metadata, labels } };
};
const broken = (made: object) => JSON.stringify(made).replace('"spec":{', '"spec":{"tpyo":1,');

const isLong = process.env.HEADWORKS_LONG === "1";

describe.each(Object.entries(clients))("%s", (client, connect) => {
  const cases: [string, (config: Folder) => void, readonly string[]][] = [
    ["its only Gateway", (config) => config.write("gateway.yaml", broken(gateway("gateway-proxy", config.port))), []],
    ["the only VirtualService of a Gateway", (config) => config.write("a.yaml", broken(virtualService("a", "one"))), []],
    ["a file that is no YAML", (config) => config.write("gateway.yaml", "kind: ["), []],
    ["its only Gateway, with a state folder", (config) => config.write("gateway.yaml", "kind: ["), ["--state-dir"]],
  ];
  // Each client has some of them.
  const some = client === "Envoy" ? [0] : [1, 2];
  test.each(isLong ? cases : cases.filter((_, i) => some.includes(i)))(
    "a typo at a start in %s takes nothing away; mended, it is followed again",
    async (_name, breakIt, more) => {
      await using one = await backend("one");
      await using two = await backend("two");
      using config = await folder();
      const xdsPort = await freePort();
      const state = `${config.path}-state`;
      using _state = { [Symbol.dispose]: () => rmSync(state, { recursive: true, force: true }) };
      config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
      config.write("a.yaml", virtualService("a", "one"));
      const args = ["--proxy", "none", "--xds", `127.0.0.1:${xdsPort}`, ...more.flatMap((option) => [option, state])];
      const first = await run(config, ...args);
      await using _client = await connect(xdsPort);
      await untilAnswers(config.port, "a.test", "one /");
      first.process.kill("SIGTERM");
      await first.ended;

      breakIt(config);
      await using second = await run(config, ...args);
      await connected(config);
      if (more.length === 0) await second.said(/nothing that proxies have from before this start is taken from them/);
      expect((await ask(config.port, "a.test"))?.body).toBe("one /");

      config.write("gateway.yaml", gateway("gateway-proxy", config.port));
      config.write("a.yaml", virtualService("a", "two"));
      await untilAnswers(config.port, "a.test", "two /");
      config.remove("a.yaml");
      await until("the listener is gone", async () => (await ask(config.port, "a.test")) === undefined);
    },
  );

  test.skipIf(client === "Envoy" && !isLong)("beside what is broken others come and go", async () => {
    await using one = await backend("one");
    using config = await folder();
    const [xdsPort = 0, other = 0] = await freePorts(2);
    config.write("upstreams.yaml", upstream("one", one.port));
    config.write("gateway.yaml", gateway("gateway-proxy", config.port, { is: "first" }));
    config.write("a.yaml", labelled("a", "one", { is: "first" }));
    const args = ["--proxy", "none", "--xds", `127.0.0.1:${xdsPort}`];
    const first = await run(config, ...args);
    await using _client = await connect(xdsPort);
    await untilAnswers(config.port, "a.test", "one /");
    first.process.kill("SIGTERM");
    await first.ended;

    config.write("a.yaml", broken(labelled("a", "one", { is: "first" })));
    config.write("b.yaml", labelled("b", "one", { is: "second" }));
    config.write("other.yaml", gateway("other", other, { is: "second" }));
    await using _second = await run(config, ...args);
    await untilAnswers(other, "b.test", "one /");
    config.remove("other.yaml");
    await until("the other is gone", async () => (await ask(other, "b.test")) === undefined);
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");
    // Gone is gone: nobody waits for it to be mended.
    config.remove("a.yaml");
    await until("the listener is gone", async () => (await ask(config.port, "a.test")) === undefined);
  });
});

/** The client is there again, and has answered for all that it asked for, or is told nothing at all. */
async function connected({ adminPort }: Folder): Promise<void> {
  await until("the client is there again", async () => {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/api/v1/clients`);
    const { clients: all } = (await answer.json()) as { clients: { types: { pendingSince?: number }[] }[] };
    return all[0] !== undefined && all[0].types.length > 0 && all[0].types.every(({ pendingSince }) => pendingSince === undefined);
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
}

// Services of a real Consul, through both data planes: routed to by Upstream, by discovery and by name, followed as they come and go.
import { describe, expect, test } from "vitest";
import { findConsul, type RunningConsul, startConsul } from "../servers/consul.ts";
import { ask, backend, folder, object, proxies, run, until, untilAnswers, virtualService } from "./gateway.ts";

const isThere = findConsul() !== undefined;
if (!isThere) {
  if (process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error("Consul is required (HEADWORKS_REQUIRE_SERVERS=1) and not there");
  console.warn("SKIPPED: Consul is not there; nothing of it was tried. Set CONSUL_BIN.");
}

function settings(consul: RunningConsul) {
  return object("Settings", "default", {
    consul: { httpAddress: `127.0.0.1:${consul.httpPort}`, serviceDiscovery: {} },
    discovery: { udsOptions: { enabled: true } },
  });
}

const register = (consul: RunningConsul, id: string, port: number) =>
  consul.register({ ID: id, Name: "web", Address: "127.0.0.1", Port: port });

describe.skipIf(!isThere).each(proxies)("services of Consul through %s", (proxy) => {
  test("an Upstream follows its instances; an outage changes nothing", async () => {
    await using consul = await startConsul();
    await using one = await backend("one");
    await using two = await backend("two");
    await register(consul, "web-1", one.port);
    using files = await folder();
    files.write("settings.yaml", settings(consul));
    files.write("web.yaml", [object("Upstream", "web", { consul: { serviceName: "web" } }), virtualService("web", "web")]);
    await using _ = await run(files, "--proxy", proxy);
    await untilAnswers(files.port, "web.test", "one /a", "/a");

    await register(consul, "web-2", two.port);
    await consul.deregister("web-1");
    // Both are served for a while, in turn.
    await until("only the second answers", async () => {
      for (let i = 0; i < 10; i++) if ((await ask(files.port, "web.test", "/b"))?.body !== "two /b") return false;
      return true;
    });

    await consul.kill();
    for (let i = 0; i < 20; i++) expect((await ask(files.port, "web.test", `/${i}`))?.body).toBe(`two /${i}`);
  });

  test("a service is discovered, and routed to without an Upstream of its own", async () => {
    await using consul = await startConsul();
    await using one = await backend("one");
    await register(consul, "web-1", one.port);
    using files = await folder();
    files.write("settings.yaml", settings(consul));
    files.write("discovered.yaml", virtualService("found", "web"));
    files.write(
      "named.yaml",
      object("VirtualService", "named", {
        virtualHost: {
          domains: ["named.test"],
          routes: [{ matchers: [{ prefix: "/" }], routeAction: { single: { consul: { serviceName: "web" } } } }],
        },
      }),
    );
    await using _ = await run(files, "--proxy", proxy);
    await untilAnswers(files.port, "found.test", "one /x", "/x");
    await untilAnswers(files.port, "named.test", "one /y", "/y");
  });
});

// One mistake costs what it touches: on a real folder, through a real gateway.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { ask, backend, folder, object, proxies, run, until, untilAnswers, upstream, virtualService } from "./gateway.ts";

describe.each(proxies)("--proxy %s", (proxy) => {
  test("a broken file leaves everything else, and its own last good version, in service; the rest can still be edited", async () => {
    await using one = await backend("one");
    await using two = await backend("two");
    using config = await folder();
    config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
    config.write("a.yaml", virtualService("a", "one"));
    config.write("b.yaml", virtualService("b", "two"));
    await using running = await run(config, "--proxy", proxy);
    await untilAnswers(config.port, "a.test", "one /");

    // Not YAML at all.
    config.write("a.yaml", "apiVersion: gateway.solo.io/v1\nkind: VirtualService\nmetadata: {name: a\nspec: [");
    await running.said(/✖ \S+a\.yaml:\d+:\d+ {2}HW\d+/);
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");
    config.write("b.yaml", virtualService("b", "one"));
    await untilAnswers(config.port, "b.test", "one /");
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");

    // Half of what it was, as a writer that is interrupted leaves it.
    const whole = JSON.stringify(virtualService("b", "two"), undefined, 1);
    config.write("b.yaml", whole.slice(0, whole.length / 2));
    await running.said(/✖ \S+b\.yaml:\d+:\d+ {2}HW\d+/);
    expect((await ask(config.port, "b.test"))?.body).toBe("one /");
    config.write("b.yaml", whole);
    await untilAnswers(config.port, "b.test", "two /");

    // Valid YAML of a configuration that cannot be.
    const wrong = virtualService("a", "one");
    config.write("a.yaml", {
      ...wrong,
      spec: { virtualHost: { domains: ["a.test"], routes: [{ matchers: [{ regex: "(" }], directResponseAction: { status: 200 } }] } },
    });
    await until("the regular expression is reported", () =>
      /a\.yaml:\d+:\d+ {2}HW\d+[\s\S]*regular expression|regex/.test(running.stderr()),
    );
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");

    config.write("a.yaml", virtualService("a", "two"));
    await untilAnswers(config.port, "a.test", "two /");
  });

  test("what is deleted is no longer served, and comes back", async () => {
    await using one = await backend("one");
    using config = await folder();
    config.write("upstreams.yaml", upstream("one", one.port));
    config.write("a.yaml", virtualService("a", "one"));
    config.write("b.yaml", virtualService("b", "one"));
    await using _running = await run(config, "--proxy", proxy);
    await untilAnswers(config.port, "a.test", "one /");
    config.remove("a.yaml");
    await until("a.test is gone", async () => (await ask(config.port, "a.test"))?.status === 404);
    expect((await ask(config.port, "b.test"))?.body).toBe("one /");
    config.write("a.yaml", virtualService("a", "one"));
    await untilAnswers(config.port, "a.test", "one /");
  });

  test("a domain that moves on while its owner is broken has one owner, and nobody else notices", async () => {
    await using one = await backend("one");
    await using two = await backend("two");
    using config = await folder();
    config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
    config.write("a.yaml", virtualService("a", "one"));
    config.write("other.yaml", virtualService("other", "one"));
    await using running = await run(config, "--proxy", proxy);
    await untilAnswers(config.port, "a.test", "one /");
    // `a` gives its domain up, but cannot be put in service like this: its last good version still has the domain.
    const broken = virtualService("b", "one", "/x");
    config.write("a.yaml", {
      ...broken,
      metadata: { name: "a", namespace: "gloo-system" },
      spec: { virtualHost: { domains: ["b.test"], routes: [{ matchers: [{ regex: "(" }], directResponseAction: { status: 200 } }] } },
    });
    await running.said(/keeps serving its last good version/);
    config.write("new.yaml", { ...virtualService("a", "two"), metadata: { name: "new", namespace: "gloo-system" } });
    await untilAnswers(config.port, "a.test", "two /");
    config.write("other.yaml", virtualService("other", "two"));
    await untilAnswers(config.port, "other.test", "two /");
    expect(running.stderr()).not.toContain("refused");
  });

  test("with --state-dir, a restart with a broken file serves its last good version, and everything else", async () => {
    await using one = await backend("one");
    await using two = await backend("two");
    using config = await folder();
    const state = mkdtempSync(join(tmpdir(), "headworks-state-"));
    config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
    config.write("a.yaml", virtualService("a", "one"));
    config.write("b.yaml", virtualService("b", "one"));
    {
      await using first = await run(config, "--proxy", proxy, "--state-dir", state);
      await untilAnswers(config.port, "a.test", "one /");
      config.write("a.yaml", "kind: [");
      await first.said(/✖ \S+a\.yaml/);
      first.process.kill("SIGTERM");
      await first.ended;
    }
    config.write("b.yaml", virtualService("b", "two"));
    await using _second = await run(config, "--proxy", proxy, "--state-dir", state);
    await untilAnswers(config.port, "b.test", "two /");
    expect((await ask(config.port, "a.test"))?.body).toBe("one /");
    rmSync(state, { recursive: true });
  });

  test("statuses are in the admin API, with the state, the reason and the place", async () => {
    await using one = await backend("one");
    using config = await folder();
    config.write("upstreams.yaml", [upstream("one", one.port), object("Upstream", "empty", { static: { hosts: [] } })]);
    config.write("a.yaml", virtualService("a", "missing"));
    await using _running = await run(config, "--proxy", proxy);
    const metrics = await (await fetch(`http://127.0.0.1:${config.adminPort}/metrics`)).text();
    expect(metrics).toContain('headworks_config_status{kind="Upstream",namespace="gloo-system",name="one"} 0');
    expect(metrics).toMatch(/headworks_config_status\{kind="Upstream",namespace="gloo-system",name="empty"\} [^0]/);
    expect(metrics).toMatch(/headworks_config_status\{kind="VirtualService",namespace="gloo-system",name="a"\} [^0]/);
  });

  test("WebSockets go through, both ways, and outlive a change of the configuration", async () => {
    await using one = await backend("one");
    using sockets = Object.assign(new WebSocketServer({ server: one.server }), {
      [Symbol.dispose]() {
        for (const client of sockets.clients) client.terminate();
        sockets.close();
      },
    });
    sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${data}`)));
    using config = await folder();
    config.write("upstreams.yaml", upstream("one", one.port));
    config.write("a.yaml", virtualService("a", "one"));
    await using _running = await run(config, "--proxy", proxy);
    await untilAnswers(config.port, "a.test", "one /");
    const client = new WebSocket(`ws://127.0.0.1:${config.port}/socket`, { headers: { host: "a.test" } });
    const next = () =>
      new Promise<string>((resolve, reject) => client.once("message", (data) => resolve(String(data))).once("error", reject));
    await new Promise((resolve, reject) => client.once("open", resolve).once("error", reject));
    const first = next();
    client.send("hello");
    expect(await first).toBe("echo hello");
    config.write("b.yaml", virtualService("b", "one"));
    await untilAnswers(config.port, "b.test", "one /");
    const second = next();
    client.send("still there");
    expect(await second).toBe("echo still there");
    client.terminate();
  });
});

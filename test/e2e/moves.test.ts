// Gateways that move to another port, and what is said about where requests are taken.
import { connect, createServer, type Server } from "node:net";
import { describe, expect, test } from "vitest";
import { freePort } from "../servers/ports.ts";
import { ask, backend, type Folder, folder, object, proxies, run, until, untilAnswers, upstream, virtualService } from "./gateway.ts";

/** Has a port that somebody else wants. */
async function squatter(): Promise<AsyncDisposable & { readonly port: number; readonly server: Server }> {
  const port = await freePort();
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { port, server, [Symbol.asyncDispose]: close };
}

function moveTo(config: Folder, bindPort: number): void {
  config.write("gateway.yaml", object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort, httpGateway: {} }));
}

describe.each(proxies)("--proxy %s", (proxy) => {
  test("a Gateway that moves to a port that is taken is served where it was, and its finding says why", async () => {
    await using one = await backend("one");
    await using two = await backend("two");
    await using taken = await squatter();
    using config = await folder();
    config.write("upstreams.yaml", [upstream("one", one.port), upstream("two", two.port)]);
    config.write("a.yaml", virtualService("a", "one"));
    await using running = await run(config, "--proxy", proxy);
    await untilAnswers(config.port, "a.test", "one /");
    const failures: number[] = [];
    const isOver = new AbortController();
    const asking = (async () => {
      while (!isOver.signal.aborted) {
        const answer = await ask(config.port, "a.test");
        if (answer?.status !== 200) failures.push(answer?.status ?? 0);
      }
    })();
    moveTo(config, taken.port);
    const why = proxy === "embedded" ? /HW5002 .*cannot listen on 127\.0\.0\.1:\d+: EADDRINUSE/ : /HW4001 .*Address already in use/;
    await running.said(new RegExp(`gateway\\.yaml:\\d+:\\d+ {2}${why.source}`));
    await untilAnswers(config.port, "a.test", "one /");
    config.write("a.yaml", virtualService("a", "two"));
    await untilAnswers(config.port, "a.test", "two /");
    isOver.abort();
    await asking;
    expect(failures).toEqual([]);
    expect(running.stderr()).not.toContain("no Gateway has a VirtualService");
    if (proxy !== "embedded") return;

    await taken[Symbol.asyncDispose]();
    await running.said(new RegExp(`requests are taken at http://127.0.0.1:${taken.port}`));
    await untilAnswers(taken.port, "a.test", "two /");
    await until("the old port is closed", async () => (await ask(config.port, "a.test")) === undefined);
    await running.said(/HW5002 is resolved/);
  });
});

test.skipIf(!proxies.includes("envoy"))("a Gateway with many routes that moves is served by Envoy at either port at any time", async () => {
  const next = await freePort();
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", upstream("one", one.port));
  config.write(
    "many.yaml",
    Array.from({ length: 4_000 }, (_, i) => virtualService(`v${i}`, "one")),
  );
  await using running = await run(config, "--proxy", "envoy");
  await untilAnswers(config.port, "v0.test", "one /");
  moveTo(config, next);
  let neither = 0;
  await until("the old port is closed", async () => {
    const [before, after] = [await isOpen(config.port), await isOpen(next)];
    neither += Number(!before && !after);
    return !before && after;
  });
  expect(neither).toBe(0);
  expect(running.stderr()).toContain(`requests are taken at http://127.0.0.1:${next}`);
});

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

test("what listens on all addresses is called so", async () => {
  await using one = await backend("one");
  using config = await folder();
  config.write("upstreams.yaml", upstream("one", one.port));
  config.write("a.yaml", virtualService("a", "one"));
  config.write("gateway.yaml", object("Gateway", "gateway-proxy", { bindAddress: "::", bindPort: config.port, httpGateway: {} }));
  await using running = await run(config);
  expect(running.stderr()).toContain(`ready  http://127.0.0.1:${config.port} (all addresses, [::]:${config.port}) (embedded`);
});

// Who a client is, and what it gets when nobody knows it.
import { describe, expect, test } from "vitest";
import { createXdsServer } from "../../../src/xds/server.ts";
import { TestClient } from "./client.ts";
import { CDS, cluster, LDS, listen, serve } from "./fixture.ts";

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test.each([["ns~proxy"], ["owner~ns~proxy"]])("the role %s picks the proxy", async (role) => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant, role });
    client.subscribe(CDS);
    expect((await client.take(CDS)).names).toEqual(["a"]);
  });

  test("without a role, the node's id picks it", async () => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant, role: "", id: "ns~proxy" });
    client.subscribe(CDS);
    expect((await client.take(CDS)).names).toEqual(["a"]);
  });

  test("an unknown role gets a listener that says what is known, until the proxy appears", async () => {
    await using xds = await serve([cluster("a")], { fallbackPort: 9999 });
    const client = xds.client({ variant, role: "ns~other" });
    client.subscribe(CDS);
    expect((await client.take(CDS)).names).toEqual([]);
    client.subscribe(LDS);
    const fallback = await client.take(LDS);
    expect(fallback.names).toHaveLength(1);
    const text = Buffer.from(fallback.bytes[fallback.names[0] as string] as Uint8Array).toString("latin1");
    expect(text).toContain('knows no proxy for node.metadata.role "ns~other"; the known ones are: ns~proxy');
    xds.server.publish("ns~other", { upserts: [cluster("b"), listen("l")], removals: [] });
    expect((await client.take(CDS)).names).toEqual(["b"]);
    const listeners = await client.take(LDS);
    expect(listeners.names).toEqual(["l"]);
    if (variant === "delta") expect(listeners.removed).toEqual(fallback.names);
  });

  test("an unknown role is refused when the server is told so", async () => {
    await using xds = await serve([cluster("a")], { unknownRole: "refuse" });
    const client = xds.client({ variant, role: "ns~other" });
    client.subscribe(CDS);
    expect(await client.ended).toMatchObject({ code: 7, details: expect.stringContaining("the known ones are: ns~proxy") });
  });

  test("until all proxies are published, an unknown role is not answered: it may be one to come", async () => {
    await using server = createXdsServer();
    const address = await server.listen({ host: "127.0.0.1", port: 0 });
    await using client = new TestClient(address, { variant });
    client.subscribe(CDS);
    client.subscribe(LDS);
    await expect.poll(() => server.clients().length).toBe(1);
    expect(client.answers).toEqual([]);
    server.publish("ns~proxy", { upserts: [cluster("a")], removals: [] });
    expect((await client.take(CDS)).names).toEqual(["a"]);
    expect((await client.take(LDS)).names).toEqual([]);
  });

  test("only the first request says who it is from; what later ones say is not looked at", async () => {
    await using xds = await serve([cluster("a")]);
    xds.server.publish("ns~other", { upserts: [cluster("secret")], removals: [] });
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    client[variant]({ typeUrl: LDS, node: { id: "x", metadata: { role: "ns~other" } } });
    await client.take(LDS);
    xds.publish([cluster("b")]);
    expect((await client.take(CDS)).names).not.toContain("secret");
    expect(xds.server.clients()[0]?.proxy).toBe("ns~proxy");
  });

  test.each([
    ["nobody", { role: "", id: "" }],
    ["an id of a megabyte", { role: "", id: "x".repeat(1_000_000) }],
    ["a role of a megabyte", { role: "y".repeat(1_000_000) }],
  ])("a first request from %s ends the stream", async (_, options) => {
    await using xds = await serve([cluster("a")]);
    const client = xds.client({ variant, ...options });
    client.subscribe(CDS);
    expect(await client.ended).toMatchObject({ code: 3, details: expect.stringContaining("node.metadata.role") });
    expect(xds.server.clients()).toEqual([]);
  });

  test("a client that goes leaves nothing behind", async () => {
    const events: string[] = [];
    await using xds = await serve([cluster("a")], { onClientChange: ({ node }, what) => events.push(`${node} ${what}`) });
    const client = xds.client({ variant, role: "ns~other" });
    client.subscribe(CDS);
    await client.take(CDS);
    await client[Symbol.asyncDispose]();
    await expect.poll(() => xds.server.metrics).toMatchObject({ streams: 0, clients: 0, streamsTotal: 1 });
    expect(xds.server.clients()).toEqual([]);
    expect(xds.server.served("ns~other")).toEqual({});
    expect(events[0]).toBe("test connected");
    expect(events.at(-1)).toBe("test gone");
  });
});

// What a client may ask for, and what it is answered: both variants.
import { describe, expect, test } from "vitest";
import { assignment, CDS, cluster, EDS, LDS, RDS, route, serve } from "./fixture.ts";

describe.each(["delta", "sotw"] as const)("%s", (variant) => {
  test("a request that names nothing asks for all clusters", async () => {
    await using xds = await serve([cluster("a"), cluster("b")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    expect((await client.next()).names).toEqual(["a", "b"]);
  });

  test("the wildcard asks for all", async () => {
    await using xds = await serve([cluster("a"), cluster("b")]);
    const client = xds.client({ variant });
    client.subscribe(CDS, ["*"]);
    expect((await client.next()).names).toEqual(["a", "b"]);
  });

  test("a request that names nothing asks for no endpoints, and is answered all the same", async () => {
    await using xds = await serve([assignment("a")]);
    const client = xds.client({ variant });
    client.subscribe(EDS);
    expect((await client.next()).names).toEqual([]);
  });

  test("only the endpoints that are asked for are sent", async () => {
    await using xds = await serve([assignment("a"), assignment("b")]);
    const client = xds.client({ variant });
    client.subscribe(EDS, ["b"]);
    expect((await client.take(EDS)).names).toEqual(["b"]);
    xds.publish([assignment("a", 2)]);
    expect(await client.rest()).toEqual([]);
  });

  test("a first request is answered even when there is nothing", async () => {
    await using xds = await serve();
    const client = xds.client({ variant });
    for (const type of [CDS, LDS]) {
      client.subscribe(type);
      expect((await client.take(type)).names).toEqual([]);
    }
  });

  test("what is answered is not sent again until it changes", async () => {
    await using xds = await serve([cluster("a"), cluster("b")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    await client.take(CDS);
    xds.publish([cluster("a"), cluster("b")]);
    expect(await client.rest()).toEqual([]);
  });

  test("a name that is added later is sent, the others are not repeated", async () => {
    await using xds = await serve([assignment("a"), assignment("b")]);
    const client = xds.client({ variant });
    client.subscribe(EDS, ["a"]);
    expect((await client.take(EDS)).names).toEqual(["a"]);
    client.subscribe(EDS, ["b"]);
    expect((await client.take(EDS)).names).toEqual(["b"]);
  });

  test("a name that does not exist is sent when it comes to exist", async () => {
    await using xds = await serve([route("here")]);
    const client = xds.client({ variant });
    client.subscribe(RDS, ["here", "later"]);
    expect((await client.take(RDS)).names).toEqual(["here"]);
    xds.publish([route("later")]);
    expect((await client.take(RDS)).names).toEqual(["later"]);
  });

  test("a name that was given up is not sent when it changes", async () => {
    await using xds = await serve([assignment("a"), assignment("b")]);
    const client = xds.client({ variant });
    client.subscribe(EDS, ["a", "b"]);
    await client.take(EDS);
    client.unsubscribe(EDS, ["a"]);
    await client.rest();
    xds.publish([assignment("a", 2), assignment("b", 2)]);
    expect((await client.take(EDS)).names).toEqual(["b"]);
  });

  test("a name that was given up and is asked for again is sent, though it did not change", async () => {
    await using xds = await serve([assignment("a"), assignment("b")]);
    const client = xds.client({ variant });
    client.subscribe(EDS, ["a", "b"]);
    await client.take(EDS);
    client.unsubscribe(EDS, ["a"]);
    expect(await client.rest()).toEqual([]);
    client.subscribe(EDS, ["a"]);
    expect((await client.take(EDS)).names).toEqual(["a"]);
  });

  test("once a name was asked for, naming none means none", async () => {
    await using xds = await serve([cluster("a"), cluster("b")]);
    const client = xds.client({ variant });
    client.subscribe(CDS, ["a"]);
    expect((await client.take(CDS)).names).toEqual(["a"]);
    client.unsubscribe(CDS, ["a"]);
    await client.rest();
    xds.publish([cluster("a", 2), cluster("c")]);
    expect(await client.rest()).toEqual([]);
  });

  test("types on one stream do not disturb each other", async () => {
    await using xds = await serve([cluster("a"), assignment("a"), route("r")]);
    const client = xds.client({ variant });
    client.subscribe(CDS);
    client.subscribe(EDS, ["a"]);
    client.subscribe(RDS, ["r"]);
    const answers = [await client.take(CDS), await client.take(EDS), await client.take(RDS)];
    expect(answers.map(({ names }) => names)).toEqual([["a"], ["a"], ["r"]]);
    xds.publish([assignment("a", 2)]);
    expect((await client.take(EDS)).names).toEqual(["a"]);
    expect(await client.rest()).toEqual([]);
  });

  test("a type that nobody serves is answered, logged once, and the stream lives on", async () => {
    await using xds = await serve([cluster("a")]);
    const unknown = "type.googleapis.com/envoy.config.route.v3.VirtualHost";
    for (let i = 0; i < 3; i++) {
      const client = xds.client({ variant });
      client.subscribe(unknown, ["x"]);
      expect(await client.next()).toMatchObject({ typeUrl: unknown, names: [] });
      client.subscribe(CDS);
      expect((await client.take(CDS)).names).toEqual(["a"]);
    }
    expect(xds.log.filter(({ message }) => message.includes("nobody publishes"))).toHaveLength(1);
  });

  test("the server says who it is, once a stream", async () => {
    await using xds = await serve([cluster("a")], { identifier: "headworks-7" });
    const client = xds.client({ variant });
    client.subscribe(CDS);
    expect((await client.take(CDS)).controlPlane).toBe("headworks-7");
    xds.publish([cluster("a", 2)]);
    expect((await client.take(CDS)).controlPlane).toBeUndefined();
  });

  test("two clients of one proxy are served apart", async () => {
    await using xds = await serve([cluster("a")]);
    const [one, two] = [xds.client({ variant }), xds.client({ variant: variant === "delta" ? "sotw" : "delta" })];
    one.subscribe(CDS);
    await one.take(CDS);
    two.subscribe(CDS);
    await two.take(CDS);
    xds.publish([cluster("b")]);
    expect((await one.take(CDS)).names).toContain("b");
    expect((await two.take(CDS)).names).toContain("b");
  });
});

// The conformance suite of HTTP/2 against the embedded data plane: nothing fails that does not fail of node:http2 alone. Of the long tier.

import { createServer } from "node:http2";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { certificates } from "../../src/dataplane/testing/certificates.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { allTo, type HcmInit, listener, routeConfig, serve, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { tlsListener } from "../../src/dataplane/testing/tls.ts";
import { envoyResource } from "../../src/envoy/encode.ts";
import { ListenerSchema } from "../../src/gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { findH2spec, h2spec, installH2spec } from "../servers/h2spec.ts";

describe.skipIf(process.env.HEADWORKS_LONG !== "1")("h2spec", () => {
  let upstream: RawUpstream;
  let binary = "";

  beforeAll(async () => {
    if (findH2spec() === undefined) installH2spec();
    binary = findH2spec() as string;
    upstream = await rawUpstream("a");
  }, 300_000);

  afterAll(() => upstream?.[Symbol.asyncDispose]());

  test("the embedded data plane fails nothing more than node:http2, over TCP and TLS", async () => {
    const plain = createServer((request, response) => request.resume().on("end", () => response.end("hello")));
    await new Promise<void>((resolve) => plain.listen(0, "127.0.0.1", resolve));
    const known = await h2spec(binary, (plain.address() as { port: number }).port, false);
    plain.close();
    expect(known.cases).toBeGreaterThan(140);

    using made = certificates();
    const common = [staticCluster("a", [upstream.port]), routeConfig([allTo("a")])];
    await using open = await serve([...common, listener(0, { codecType: 2 } as HcmInit)]);
    await using secure = await serve([
      ...common,
      envoyResource(ListenerSchema, "tls", tlsListener(0, [{ certificate: made.selfSigned("a") }]), []),
    ]);
    for (const [port, isTls] of [
      [open.port, false],
      [secure.port, true],
    ] as const) {
      const own = await h2spec(binary, port, isTls);
      expect(own.cases).toBe(known.cases);
      expect(own.failed.filter((each) => !known.failed.includes(each))).toEqual([]);
    }
  }, 600_000);
});

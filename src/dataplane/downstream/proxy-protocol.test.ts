// Headers of the PROXY protocol as they are read, in any parts; what it does to connections is in test/e2e/proxied-clients.test.ts.

import fc from "fast-check";
import { expect, test } from "vitest";
import type { ProxyProtocol } from "../compile/proxy-protocol.ts";
import { proxyHeader } from "../upstream/proxy-header.ts";
import { parseProxyHeader } from "./proxy-protocol.ts";

const required: ProxyProtocol = { isOptional: false, allowsV1: true, allowsV2: true };

const ends = [
  { remoteAddress: "10.0.0.1", remotePort: 4_000, localAddress: "192.0.2.1", localPort: 443 },
  { remoteAddress: "2001:db8::1", remotePort: 1, localAddress: "2001:db8:0:1::2", localPort: 65_535 },
];

test.each(ends.flatMap((each) => [["v1", each] as const, ["v2", each] as const]))("what we write we read: %s %j", (version, client) => {
  const header = proxyHeader(version, client, client);
  for (let size = 0; size < header.length; size++) expect(parseProxyHeader(header.subarray(0, size), required)).toBe("more");
  for (const rest of ["", "GET / HTTP/1.1\r\n"])
    expect(parseProxyHeader(Buffer.concat([header, Buffer.from(rest)]), required)).toEqual({ size: header.length, ends: client });
});

test("a version that is not allowed is none", () => {
  const [client] = ends as [(typeof ends)[0]];
  const text = proxyHeader("v1", client, client);
  expect(parseProxyHeader(text, { ...required, allowsV1: false })).toBe("refused");
  expect(parseProxyHeader(text, { isOptional: true, allowsV1: false, allowsV2: true })).toEqual({ size: 0 });
});

test("whatever the bytes are, reading them does not throw, and ends", () => {
  const beginnings = fc.constantFrom("", "PROXY ", "PROXY TCP4 ", "\r\n\r\n\0\r\nQUIT\n", "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c");
  fc.assert(
    fc.property(beginnings, fc.uint8Array({ maxLength: 300 }), (beginning, rest) => {
      const read = parseProxyHeader(Buffer.concat([Buffer.from(beginning, "latin1"), rest]), required);
      if (typeof read === "object") expect(read.size).toBeLessThanOrEqual(beginning.length + rest.length);
    }),
    { numRuns: 2_000 },
  );
});

import { expect, test } from "vitest";
import { formatListenAddress, parseListenAddress } from "./listen-address.ts";

test.each([
  ["9091", "127.0.0.1:9091", true],
  ["127.0.0.1:9091", "127.0.0.1:9091", true],
  ["localhost:0", "localhost:0", true],
  ["[::1]:9091", "[::1]:9091", true],
  [":9091", "[::]:9091", false],
  ["0.0.0.0:80", "0.0.0.0:80", false],
  ["gateway.internal:80", "gateway.internal:80", false],
])("%s is %s", (text, formatted, isLoopback) => {
  const address = parseListenAddress(text);
  expect(address && formatListenAddress(address)).toBe(formatted);
  expect(address).toMatchObject({ kind: "tcp", isLoopback });
});

test("a Unix socket is written with its scheme", () => {
  expect(parseListenAddress("unix:/run/h.sock")).toEqual({ kind: "unix", path: "/run/h.sock" });
  expect(parseListenAddress("unix:///run/h.sock")).toEqual({ kind: "unix", path: "/run/h.sock" });
});

test.each(["", "abc", "-1", "70000", "127.0.0.1", "127.0.0.1:", "::1:80", "[foo]:80", "a b:80", "http://x:80", "1:2:3", "unix:"])(
  "%j is no address",
  (text) => expect(parseListenAddress(text)).toBeUndefined(),
);

import { expect, test } from "vitest";
import { askedRequest } from "./asked-request.ts";

const asked = (url: string) => askedRequest("get", url, []);

test("a URL is asked as a client would, its path untouched", () => {
  expect(asked("http://shop.local:8080/a/../b//c%2f?x=1#there")).toEqual({
    method: "GET",
    scheme: "http",
    host: "shop.local:8080",
    port: 8080,
    path: "/a/../b//c%2f?x=1",
    headers: [],
  });
  expect(asked("https://me:secret@shop.local")).toMatchObject({ scheme: "https", host: "shop.local", port: undefined, path: "/" });
  expect(asked("http://shop.local:80/")).toMatchObject({ host: "shop.local", port: 80 });
  expect(asked("https://shop.local:80/")).toMatchObject({ host: "shop.local:80", port: 80 });
  expect(asked("http://[::1]:8080/x")).toMatchObject({ host: "[::1]:8080", port: 8080 });
  expect(asked("shop.local?x")).toMatchObject({ scheme: "http", host: "shop.local", path: "/?x" });
  expect(asked("/api/pets")).toMatchObject({ host: "localhost", port: undefined, path: "/api/pets" });
});

test("headers are taken as they are, but for what no request can have", () => {
  expect(askedRequest("GET", "/", ["X-A:b: c", "x-empty:"]).headers).toEqual([
    ["X-A", "b: c"],
    ["x-empty", ""],
  ]);
  for (const header of ["x-a", ": b", "x a: b", "x-a: b\r\nx-c: d"]) expect(() => askedRequest("GET", "/", [header])).toThrow();
});

test("what is no request is said", () => {
  expect(() => asked("ftp://shop.local/")).toThrow("only http and https have routes");
  expect(() => asked("http://shop.local:99999/")).toThrow("is no host");
  expect(() => asked("http://shop.local/ü")).toThrow("escape them: /%C3%BC");
  expect(() => askedRequest("GET /", "/", [])).toThrow("is no method");
});

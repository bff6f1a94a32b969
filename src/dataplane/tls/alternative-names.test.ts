import { expect, test } from "vitest";
import { alternativeNames, hasName } from "./alternative-names.ts";

test("names as Node tells them", () => {
  expect(alternativeNames("DNS:a.test, DNS:*.b.test, URI:spiffe://a/b?c:d, IP Address:0:0:0:0:0:0:0:1, email:a@b")).toEqual([
    { kind: "DNS", value: "a.test" },
    { kind: "DNS", value: "*.b.test" },
    { kind: "URI", value: "spiffe://a/b?c:d" },
    { kind: "IP Address", value: "0:0:0:0:0:0:0:1" },
    { kind: "email", value: "a@b" },
  ]);
  expect(alternativeNames(undefined)).toEqual([]);
  expect(alternativeNames("")).toEqual([]);
});

test("a name with commas in it is one name", () => {
  expect(alternativeNames('URI:"spiffe://evil, URI:spiffe://admin", DNS:"a\\"b,c", DNS:d')).toEqual([
    { kind: "URI", value: "spiffe://evil, URI:spiffe://admin" },
    { kind: "DNS", value: 'a"b,c' },
    { kind: "DNS", value: "d" },
  ]);
});

test("nobody gets a name by hiding it in another", () => {
  const prod = [{ test: (name: string) => name.startsWith("spiffe://prod/") }];
  expect(hasName('URI:"spiffe://dev/x, URI:spiffe://prod/admin", DNS:dev.test', prod)).toBe(false);
  expect(hasName("DNS:dev.test, URI:spiffe://prod/admin", prod)).toBe(true);
  expect(hasName(undefined, prod)).toBe(false);
});

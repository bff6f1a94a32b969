import { expect, test } from "vitest";
import { uriFault } from "./uri.ts";

// Each as Envoy 1.40 said to `--mode validate`.
test.each(
  [
    "http://a.test/x",
    "HTTP://A/",
    "https://a",
    "http://a/{x}",
    "http://u:p@a/",
    "http://a/%zz",
    "http://[::1]/",
    "http://a/#x",
    "http://a?x=1",
  ].concat('http://a/x"y', "http://a:0/", "http://-a/"),
)("Envoy takes %s", (uri) => {
  expect(uriFault(uri)).toBeUndefined();
});

test.each([
  ...["", "a.test/keys", "//a/keys", "http:a", "http:///x", "ftp://a/", "http://a/a b", "http://a/ä", "http://a_b/", "http://ä.test/"],
  ...[
    "http://a:/x",
    "http://a:99999/",
    "http://a\\b",
    "http://a/\tx",
    "http://a/x\n",
    "http://a*b/",
    "http://a,b/",
    "http://a%41/",
    "http://a~b/",
  ],
])("Envoy refuses %j", (uri) => {
  expect(uriFault(uri)).toBeDefined();
});

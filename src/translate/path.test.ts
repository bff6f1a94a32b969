import { expect, test } from "vitest";
import { pathFault, rewriteFault } from "./path.ts";

test.each(["%af801&*", "801&*%af719$@!", "/a/b-c_d.e~f", ""])("%j is a path", (path) => {
  expect(pathFault(path)).toBeUndefined();
});

test.each(["%0", "ƒ©", "hello//", "a/./b", "a/../b", "a%2Fb", "a%2fb", "a#", "a/..", "a/.", "/a b", "/a{b"])("%j is no path", (path) => {
  expect(pathFault(path)).toBeDefined();
});

test.each(["some/site?a=<&b=c", "some/site#<part", "//host/path", "http://host/path", "/a%2Fb", "a:b", "/", "", "/%41"])(
  "%j is a rewrite, of which the path counts",
  (rewrite) => {
    expect(rewriteFault(rewrite)).toBeUndefined();
  },
);

test.each([
  ["some/site<hello", "must only contain valid characters"],
  ["/a%20b", "must only contain valid characters"],
  ["/a//?b", "path [/a//] cannot contain [//]"],
  ["/x/../y", "cannot contain [/../]"],
  ["/a%2F/b", "cannot contain [//]"],
  ["1a:b", "first path segment in URL cannot contain colon"],
  [":a", "missing protocol scheme"],
  ["/%zz", 'invalid URL escape "%zz"'],
])("the rewrite %j is none", (rewrite, why) => {
  expect(rewriteFault(rewrite)).toContain(why);
});

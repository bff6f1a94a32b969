import { describe, expect, test } from "vitest";
import { checkImports } from "./imports.ts";

const check = (path: string, text: string) => checkImports([{ path, text }]);

describe("import rules", () => {
  test("an import that goes down is fine", () => {
    expect(check("xds/delta.ts", 'import { a } from "../model/ref.ts";\nimport type { B } from "../plugin/world.ts";')).toEqual([]);
  });

  test("an import that goes up is named with both ends", () => {
    expect(check("model/ref.ts", 'import { a } from "../xds/delta.ts";')).toEqual([
      "src/model/ref.ts: imports xds/delta.ts: imports go down only",
    ]);
  });

  test("stages are strangers, also through a dynamic import or a re-export", () => {
    expect(check("xds/delta.ts", 'const x = await import("../routing/hosts.ts");')).toHaveLength(1);
    expect(check("xds/delta.ts", 'export { x } from "../routing/hosts.ts";')).toHaveLength(1);
    expect(check("xds/delta.ts", 'import {\n  x,\n  y,\n} from "../routing/hosts.ts";')).toHaveLength(1);
  });

  test("plug-ins are islands; files of one plug-in are not", () => {
    expect(check("upstreams/consul/endpoints.ts", 'import { a } from "../kube/cluster.ts";')).toEqual([
      "src/upstreams/consul/endpoints.ts: imports upstreams/kube/cluster.ts: plug-ins are islands",
    ]);
    expect(check("upstreams/consul/endpoints.ts", 'import { a } from "./client.ts";')).toEqual([]);
    expect(check("features/cors.ts", 'import { a } from "./retries.ts";')).toHaveLength(1);
  });

  test("pure folders do no I/O and read no clock and no environment", () => {
    expect(check("translate/cluster.ts", 'import { readFileSync } from "node:fs";')).toHaveLength(1);
    expect(check("translate/cluster.ts", 'import { hash } from "node:crypto";')).toEqual([]);
    expect(check("translate/cluster.ts", 'import { isIP, isIPv6 } from "node:net";')).toEqual([]);
    expect(check("translate/cluster.ts", 'import { connect, isIP } from "node:net";')).toHaveLength(1);
    for (const code of ["process.env.X", "Date.now()", "new Date()", "Math.random()", "setTimeout(f, 1)", 'fetch("x")'])
      expect(check("features/cors.ts", `const x = ${code};`), code).toHaveLength(1);
    expect(check("upstreams/consul/cluster.ts", "const x = Date.now();")).toHaveLength(1);
    expect(check("upstreams/consul/endpoints.ts", "const x = Date.now();")).toEqual([]);
  });

  test("comments and strings do not count", () => {
    expect(
      check("model/ref.ts", '// import { a } from "../xds/delta.ts"; Date.now()\n/* process.env */ const url = "http://process.env/";'),
    ).toEqual([]);
  });

  test("tests may import what they like, and nobody else imports what is for tests", () => {
    expect(check("model/ref.test.ts", 'import { a } from "../xds/delta.ts";')).toEqual([]);
    expect(check("xds/delta.ts", 'import { a } from "../lib/testing/golden.ts";')).toEqual([
      "src/xds/delta.ts: imports lib/testing/golden.ts: that is for tests only",
    ]);
  });

  test("a folder that the rules do not know is a finding", () => {
    expect(check("utils/strings.ts", "export const a = 1;")).toHaveLength(1);
  });

  test("looking at no file is a failure", () => {
    expect(checkImports([])).toHaveLength(1);
  });
});

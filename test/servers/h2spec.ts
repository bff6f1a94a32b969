// h2spec, the conformance suite of HTTP/2: where it is, how it is built, and what fails of a server.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { buildWithGo, cachedIn } from "./go-build.ts";

const version = "2.2.1+incompatible";
const folder = `h2spec-${version}`;

/** `$H2SPEC_BIN`, the cache that the test set-up fills, or PATH. */
export function findH2spec(): string | undefined {
  const paths = (process.env.PATH ?? "").split(delimiter).map((each) => join(each, "h2spec"));
  return [process.env.H2SPEC_BIN, join(cachedIn(folder), "h2spec"), ...paths].find((path) => path !== undefined && existsSync(path));
}

/** Some twenty seconds. */
export function installH2spec(): void {
  buildWithGo({ folder, binary: "h2spec", package: "github.com/summerwind/h2spec/cmd/h2spec", version });
}

/** The cases that a server on this port fails, by section and description; and how many there were. */
export async function h2spec(binary: string, port: number, isTls: boolean): Promise<{ readonly failed: string[]; readonly cases: number }> {
  const out = mkdtempSync(join(tmpdir(), "h2spec-"));
  const report = join(out, "report.xml");
  try {
    const child = spawn(binary, ["-h", "127.0.0.1", "-p", String(port), "-o", "3", "-j", report, ...(isTls ? ["-t", "-k"] : [])], {
      stdio: "ignore",
    });
    await new Promise((resolve) => child.once("exit", resolve));
    const cases = readFileSync(report, "utf8").match(/<testcase [\s\S]*?(?:<\/testcase>|\/>)/g) ?? [];
    const failed = cases
      .filter((each) => /<failure|<error/.test(each))
      .map((each) => `${attribute(each, "package")}: ${attribute(each, "classname")}`);
    return { failed, cases: cases.length };
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function attribute(element: string, name: string): string {
  return new RegExp(`${name}="([^"]*)"`).exec(element)?.[1] ?? "";
}

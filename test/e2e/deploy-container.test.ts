// The container file. There is no container engine here: its steps are read, and run in a folder.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { freePorts } from "../servers/ports.ts";
import { headworks, start } from "./headworks.ts";

const root = join(import.meta.dirname, "../..");

interface Step {
  readonly instruction: string;
  readonly rest: string;
}

/** The instructions of each stage. */
const stages = (): Step[][] => {
  const text = readFileSync(join(root, "deploy/Containerfile"), "utf8")
    .replace(/^#.*\n/gm, "")
    .replaceAll("\\\n", " ");
  const steps = text.split("\n").flatMap((line) => {
    const [, instruction = "", rest = ""] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    return instruction === "" ? [] : [{ instruction, rest }];
  });
  const starts = steps.flatMap(({ instruction }, index) => (instruction === "FROM" ? [index] : []));
  return starts.map((from, index) => steps.slice(from, starts[index + 1]));
};
const theOne = (steps: readonly Step[], instruction: string) => {
  const found = steps.filter((step) => step.instruction === instruction);
  expect(found.length, instruction).toBe(1);
  return found[0]!.rest;
};

test("it runs as the user that the chart names, with Node 24", () => {
  const final = stages().at(-1)!;
  const manifest = readFileSync(join(root, "deploy/manifests/control-plane.yaml"), "utf8");
  const [, user] = /runAsUser: (\d+)/.exec(manifest) ?? [];
  expect(theOne(final, "USER")).toBe(`${user}:${user}`);
  expect(readFileSync(join(root, "deploy/Containerfile"), "utf8")).toMatch(/^ARG NODE=node:24-/m);
  const { bin } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  expect(JSON.parse(theOne(final, "ENTRYPOINT"))).toEqual(["node", `/opt/headworks/node_modules/headworks/${bin.headworks}`]);
});

test.skipIf(!process.env.HEADWORKS_LONG)(
  "its steps make something that runs",
  async () => {
    const image = mkdtempSync(join(tmpdir(), "headworks-image-"));
    const inImage = (path: string) => join(image, path);
    try {
      const context = inImage("context");
      for (const folder of [context, inImage("tmp"), inImage("opt")]) mkdirSync(folder, { recursive: true });
      execFileSync("npm", ["pack", "--silent", "--pack-destination", context], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
      const tarball = readdirSync(context)[0] as string;
      const [install, final] = stages() as [Step[], Step[]];
      const [from = "", to = ""] = theOne(install, "COPY").split(" ");
      cpSync(join(context, from.replace(/\$\{PACKAGE\}/, tarball)), inImage(to));
      const run = theOne(install, "RUN").replaceAll(/(?<= )\/(opt|tmp)\//g, `${image}/$1/`);
      execFileSync("sh", ["-c", `${run} --prefer-offline`], { cwd: image, stdio: ["ignore", "pipe", "inherit"] });

      const [, copied = ""] = theOne(final, "COPY").replace("--from=install ", "").split(" ");
      expect(existsSync(inImage(copied))).toBe(true);
      const [, file = ""] = JSON.parse(theOne(final, "ENTRYPOINT")) as string[];
      const program = [process.execPath, inImage(file)];
      expect((await headworks(["crds", "us"], { program })).stdout).toContain("name: upstreams.gloo.solo.io");

      const [port, admin] = await freePorts(2);
      const args = ["run", join(root, "examples/petstore"), "--proxy=none", `--xds=${port}`, `--admin=${admin}`, "--log=json"];
      await using running = start(args, { program, cwd: dirname(inImage(file)) });
      await expect.poll(async () => (await fetch(`http://127.0.0.1:${admin}/readyz`).catch(() => undefined))?.status).toBe(200);
      running.process.kill("SIGTERM");
      expect((await running.ended).code).toBe(0);
    } finally {
      rmSync(image, { recursive: true, force: true });
    }
  },
  180_000,
);

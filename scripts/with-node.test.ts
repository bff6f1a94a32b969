// What starts our programs under npm ends them, too.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";

const root = join(import.meta.dirname, "..");

test("whoever ends npm ends Headworks, though the shell between them hands no signal on", async () => {
  const launcher = `${process.execPath} scripts/with-node.mjs src/main.ts petstore --listen 127.0.0.1:0`;
  // Two commands, or the shell would become the launcher itself.
  const shell = spawn("sh", ["-c", `${launcher}; true`], {
    cwd: root,
    env: { ...process.env, npm_lifecycle_event: "start", NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  onTestFinished(() => {
    try {
      process.kill(-(shell.pid ?? 0), "SIGKILL");
    } catch {} // as it should be: nobody is left of the group
  });
  // Read on this side for as long as anybody can write to it: to the end of the last of them.
  const ended = once(shell.stdout, "end");
  let url = "";
  for await (const line of createInterface(shell.stdout)) {
    url = /http:\S+/.exec(line)?.[0] ?? "";
    if (url === "") continue;
    expect((await fetch(url)).status).toBe(200);
    shell.kill("SIGTERM");
  }
  await ended;
  expect(url).not.toBe("");
  await expect(fetch(url)).rejects.toThrow();
});

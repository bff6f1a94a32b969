import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { SettingsSchema } from "../../src/gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { readmeExamples } from "../../src/lib/testing/readme.ts";
import { upstreamTypeContract } from "../../src/lib/testing/upstreamTypeContract.ts";
import { resourcesOf } from "../../src/lib/testing/world.ts";
import { resourceKey } from "../../src/model/ref.ts";
import { loadConfig, withConfig } from "../../src/plugin/config.ts";
import type { EdgeContext, UpstreamOf } from "../../src/plugin/upstream-type.ts";
import { hostsFile } from "./hosts-file.ts";

const yaml = readFileSync(join(import.meta.dirname, "config/till.yaml"), "utf8");

readmeExamples(join(import.meta.dirname, "README.md"), withConfig(builtins, { upstreamTypes: [hostsFile] }));

upstreamTypeContract(hostsFile, {
  good: yaml,
  bad: "kind: Upstream\nmetadata: {name: bad, namespace: shop}\nspec: {hostsFile: {}}\n",
  features: builtins.features,
});

test("the example's configuration adds the type to the built-in ones", async () => {
  const plugins = withConfig(builtins, await loadConfig(undefined, import.meta.dirname));
  expect(plugins.upstreamTypes.hostsFile?.kind).toBe("hostsFile");
  expect(plugins.upstreamTypes.static).toBe(builtins.upstreamTypes.static);
});

test("an edit of the file is a new set of addresses; a file that is gone leaves the old set alone", async () => {
  const folder = mkdtempSync(join(tmpdir(), "hosts-"));
  const path = join(folder, "till.hosts");
  const upstream = upstreamWith(path);
  const stop = new AbortController();
  const warnings: string[] = [];
  const updates = hostsFile.endpoints!(listOnce(upstream, stop.signal), contextOf(stop.signal, warnings))[Symbol.asyncIterator]();
  try {
    writeFileSync(path, "10.0.0.1:80\n10.0.0.2:80\n");
    expect(await updates.next()).toMatchObject({
      value: {
        key: upstream.key,
        endpoints: [
          { address: "10.0.0.1", port: 80 },
          { address: "10.0.0.2", port: 80 },
        ],
      },
    });
    const next = updates.next();
    rmSync(path);
    while (warnings.length === 0) await new Promise((resolve) => setImmediate(resolve));
    writeFileSync(path, "10.0.0.3:80\n");
    expect(await next).toMatchObject({ value: { endpoints: [{ address: "10.0.0.3", port: 80 }] } });
    stop.abort();
    expect(await updates.next()).toMatchObject({ done: true });
  } finally {
    stop.abort();
    rmSync(folder, { recursive: true, force: true });
  }
});

function upstreamWith(path: string): UpstreamOf<{ readonly path: string }> {
  const [resource] = resourcesOf(yaml, ["hostsFile"]);
  const ref = { namespace: "gloo-system", name: "till" };
  return { key: resourceKey("Upstream", ref), ref, name: "till_gloo-system", spec: { path }, upstream: resource?.spec as never };
}

/** One list, and then nothing until the end. */
async function* listOnce<T>(value: T, signal: AbortSignal): AsyncGenerator<readonly T[]> {
  yield [value];
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

function contextOf(signal: AbortSignal, warnings: string[]): EdgeContext {
  const nothing = () => undefined;
  return {
    signal,
    settings: () => create(SettingsSchema),
    secret: nothing,
    report: nothing,
    log: { debug: nothing, info: nothing, error: nothing, warn: (_, message) => warnings.push(message) },
  };
}

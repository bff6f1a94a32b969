import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ConfigError, customKinds, loadConfig, withConfig } from "./config.ts";

const folder = mkdtempSync(join(tmpdir(), "config-"));
afterAll(() => rmSync(folder, { recursive: true }));
let files = 0;

/** Loads a module of this text; a new file each time, because modules are kept once loaded. */
function load(text: string) {
  const path = join(folder, `headworks-${files++}.config.ts`);
  writeFileSync(path, text);
  return loadConfig(path);
}

const type = (fields: string) => `export default { upstreamTypes: [{ ${fields} }] };`;
const hooks = "parse: (json) => json, cluster: ({ name }) => ({ name })";

test("without a file there is nothing to add", async () => {
  expect(await loadConfig(undefined, folder)).toEqual({});
});

test("a type of the user's own joins the built-in ones, and its kind is one for the decoder", async () => {
  const config = await load(type(`kind: "mine", ${hooks}`));
  const plugins = withConfig({ upstreamTypes: { static: { kind: "static", cluster: () => undefined } }, features: [] }, config);
  expect(Object.keys(plugins.upstreamTypes)).toEqual(["static", "mine"]);
  expect(customKinds(plugins)).toEqual(["mine"]);
});

test("a type may stand in for a built-in one", async () => {
  const config = await load(type('kind: "consul", cluster: ({ name }) => ({ name })'));
  expect(customKinds(withConfig({ upstreamTypes: {}, features: [] }, config))).toEqual([]);
});

test.each([
  ["a module that throws", "throw new Error('no');", "could not be loaded: no"],
  ["a module without a default export", "export const x = 1;", "has no default export"],
  ["a field that nobody knows", "export default { plugins: [] };", "not plugins"],
  ["a kind that is no word", type(`kind: "my-type", ${hooks}`), "lower camel case"],
  ["a kind that is a field of all Upstreams", type(`kind: "sslConfig", ${hooks}`), "cannot be named sslConfig"],
  ["a type without a cluster", type('kind: "mine", parse: (json) => json'), "has no cluster()"],
  ["a type without a parse", type('kind: "mine", cluster: () => undefined'), "has no parse()"],
  [
    "the same type twice",
    `const mine = { kind: "mine", ${hooks} }; export default { upstreamTypes: [mine, mine] };`,
    "the type mine is there twice",
  ],
])("%s stops the start, with the file's name", async (_, text, message) => {
  const failure = await load(text).then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(ConfigError);
  expect(String(failure)).toContain(message);
  expect(String(failure)).toContain("headworks-");
});

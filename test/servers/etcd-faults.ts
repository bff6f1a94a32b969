// What goes wrong with etcd while the API server before it is well: no quorum, no space.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { controlled, type RunningKubernetes } from "./kubernetes.ts";
import { findEtcd } from "./kubernetes-binaries.ts";
import { freePorts } from "./ports.ts";

export interface SecondMember extends AsyncDisposable {
  /** From now on there is no quorum: nothing can be written, and nothing be read that has to be the newest. */
  kill(): Promise<void>;
  /** After a kill: there is a quorum again. */
  start(): Promise<void>;
}

/** A second member of the cluster's etcd: of two, both are needed. There is no way back to one. */
export async function joinEtcd({ etcd }: RunningKubernetes): Promise<SecondMember> {
  const binary = findEtcd();
  if (binary === undefined) throw new Error("etcd is not there");
  const folder = mkdtempSync(join(tmpdir(), "etcd-"));
  const [clientPort, peerPort] = (await freePorts(2)) as [number, number];
  const clientUrl = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const member = controlled("etcd", binary, [
    "--name=second",
    `--data-dir=${folder}`,
    `--listen-client-urls=${clientUrl}`,
    `--advertise-client-urls=${clientUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${etcd.peerUrl},second=${peerUrl}`,
    "--initial-cluster-state=existing",
    "--unsafe-no-fsync",
    "--log-level=error",
  ]);
  const start = () => member.launch(async () => (await fetch(`${clientUrl}/health`)).ok);
  await etcd.call("/v3/cluster/member/add", { peerURLs: [peerUrl] });
  try {
    await start();
  } catch (error) {
    await member.kill();
    throw error;
  }
  return {
    kill: member.kill,
    start,
    async [Symbol.asyncDispose]() {
      await member.kill();
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/**
 * Writes into an etcd with a small `--quota-backend-bytes` until it takes no more (the alarm NOSPACE: deletions are taken, all else is refused).
 * Returns what makes room again, and ends the alarm, as an operator would.
 */
export async function fillEtcd({ etcd }: RunningKubernetes): Promise<() => Promise<void>> {
  const encoded = (text: string) => Buffer.from(text).toString("base64");
  const value = encoded("x".repeat(1_000_000));
  for (let i = 0; ; i++) {
    if (i > 1_000) throw new Error("etcd takes a gigabyte: it has no quota");
    try {
      await etcd.call("/v3/kv/put", { key: encoded(`filling/${i}`), value });
    } catch (error) {
      if (!/space exceeded/.test((error as Error).message)) throw error;
      break;
    }
  }
  return async () => {
    await etcd.call("/v3/kv/deleterange", { key: encoded("filling/"), range_end: encoded("filling0") });
    await etcd.compact();
    await etcd.call("/v3/maintenance/defragment", {});
    const { alarms = [] } = (await etcd.call("/v3/maintenance/alarm", { action: "GET" })) as { readonly alarms?: readonly object[] };
    for (const alarm of alarms) await etcd.call("/v3/maintenance/alarm", { action: "DEACTIVATE", ...alarm });
  };
}

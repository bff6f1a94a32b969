// A type of Upstream in one file: addresses are lines `ip:port` of a text file, which some other program writes. An edit of that
// file is live within a second, without a change of configuration.
import { readFile } from "node:fs/promises";
import { setInterval } from "node:timers/promises";
// In a project of your own: from "headworks".
import { defineUpstreamType, type Endpoint, edsCluster, type UpstreamOf } from "../../src/index.ts";

interface HostsFile {
  readonly path: string;
}

export const hostsFile = defineUpstreamType({
  kind: "hostsFile",
  parse(json, report): HostsFile | undefined {
    if (typeof json.path === "string" && json.path !== "") return { path: json.path };
    report.error("PluginProblem", "hostsFile.path names the file with the addresses; it is missing", { path: "hostsFile.path" });
    return undefined;
  },
  cluster: ({ name }) => edsCluster(name),
  async *endpoints(upstreams, { signal, log }) {
    let current: readonly UpstreamOf<HostsFile>[] = [];
    const following = (async () => {
      for await (const list of upstreams) current = list;
    })();
    const sent = new Map<string, string>();
    try {
      for await (const _ of setInterval(250, undefined, { signal })) {
        for (const { key, spec } of current) {
          // A file that cannot be read is an outage: nothing is said, and the addresses from before stay in service.
          const text = await readFile(spec.path, "utf8").catch((error) => void log.warn({ key, error }, "hosts file"));
          if (text === undefined || sent.get(key) === text) continue;
          sent.set(key, text);
          yield { key, endpoints: endpointsIn(text) };
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    await following;
  },
});

function endpointsIn(text: string): Endpoint[] {
  return [...text.matchAll(/^(\d+(?:\.\d+){3}):(\d+)$/gm)].map(([, address = "", port]) => ({ address, port: Number(port) }));
}

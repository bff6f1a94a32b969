// `npm run bench`: everything we measure, as a table and JSON, with the goals beside the numbers.
//
//   npm run bench -- [--quick] [--only translation,live,memory,start,check,dataplane,workers,xds,consul,graph] [--json FILE]
//
// The data plane alone, beside some only, with more pairs: BENCH_PEERS=Envoy,nginx BENCH_PAIRS=12 npm run bench -- --only dataplane
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { type BenchRow, isMet } from "./row.ts";

/** What was measured before something failed is told, where a part hands out row by row. */
type Rows = readonly BenchRow[] | AsyncIterable<BenchRow>;

/** Each part is loaded when it is wanted, so that none weighs on another. */
const parts: Record<string, (quick: boolean) => Rows | Promise<Rows>> = {
  check: async (quick) => (await import("./processes.ts")).benchCheck(quick ? 3 : 5),
  start: async (quick) => (await import("./processes.ts")).benchStart(quick ? 3 : 7),
  translation: async (quick) => (await import("./translation.ts")).benchTranslation(quick ? [1_000, 10_000] : undefined),
  live: async (quick) =>
    (await import("./live.ts")).benchLive(quick ? [10, 1_000] : undefined, quick ? 10 : 30, quick ? [1_000] : undefined),
  memory: async (quick) => (await import("./processes.ts")).benchMemory(quick ? [10_000] : undefined),
  dataplane: async (quick) => dataplaneRows(quick),
  workers: async (quick) => (await import("./workers.ts")).benchWorkers(quick ? 1 : undefined),
  xds: async (quick) => xdsRows(quick),
  consul: async (quick) => (await import("./consul.ts")).benchConsul(quick ? 500 : undefined, quick ? 8 : undefined),
  graph: async (quick) => (quick ? [] : graphRows()),
};

const { values } = parseArgs({ options: { quick: { type: "boolean" }, only: { type: "string" }, json: { type: "string" } } });
const wanted = values.only?.split(",") ?? Object.keys(parts);
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) {
  console.error(`--only knows ${Object.keys(parts).join(", ")}; not ${unknown.join(", ")}`);
  process.exit(2);
}

const machine = { node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model ?? "", loadBefore: loadavg()[0] };
const rows: BenchRow[] = [];
const failures: string[] = [];
for (const name of wanted) {
  process.stderr.write(`${name} …\n`);
  try {
    for await (const row of (await parts[name]?.(values.quick ?? false)) ?? []) rows.push(row);
  } catch (error) {
    failures.push(`${name}: ${(error as Error).message}`);
  }
}
print(rows);
for (const failure of failures) console.log(`FAILED  ${failure}`);
const report = JSON.stringify({
  machine: { ...machine, loadAfter: loadavg()[0] },
  rows: rows.map((row) => ({ ...row, ok: isMet(row) })),
  failures,
});
if (values.json === undefined) console.log(report);
else writeFileSync(values.json, `${report}\n`);
// Goals are for people to look at: on a busy machine a miss is no failure.
process.exitCode = failures.length > 0 ? 1 : 0;

function print(all: readonly BenchRow[]): void {
  const width = Math.max(...all.map(({ what }) => what.length), 0);
  let area = "";
  for (const row of all) {
    if (row.area !== area) console.log(`\n${row.area}`);
    area = row.area;
    const met = isMet(row);
    const goal = row.goal === undefined ? "" : `${met ? "ok  " : "MISS"} goal ${row.unit.endsWith("/s") ? "≥" : "≤"} ${number(row.goal)}`;
    console.log(
      `  ${row.what.padEnd(width)}  ${(Number.isNaN(row.value) ? "–" : number(row.value)).padStart(11)} ${row.unit.padEnd(11)} ${goal.padEnd(18)} ${row.note ?? ""}`.trimEnd(),
    );
  }
  console.log(
    `\n${machine.cores} cores (${machine.cpu}), Node ${machine.node}, load ${machine.loadBefore?.toFixed(1)} before and ${loadavg()[0]?.toFixed(1)} after\n`,
  );
}

function number(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 2 : value < 1000 ? 1 : 0 });
}

async function dataplaneRows(isQuick: boolean): Promise<Rows> {
  const { benchDataplane, quick } = await import("./dataplane.ts");
  return benchDataplane(isQuick ? quick : undefined);
}

async function xdsRows(quick: boolean): Promise<BenchRow[]> {
  const { benchXds } = await import("./xds.ts");
  const results = await benchXds(quick ? [10, 1_000] : undefined);
  return results.flatMap(({ clusters, what, ackMs, liveMs, bytes, cpuMs }) => {
    const name = `${clusters.toLocaleString("en")} clusters: ${what}`;
    const change = what === "first sync" ? {} : { goal: 1024 };
    return [
      { area: "xDS to Envoy", what: `${name}, acknowledged`, value: ackMs, unit: "ms", note: `${cpuMs.toFixed(1)} ms CPU` },
      ...(liveMs === undefined ? [] : [{ area: "xDS to Envoy", what: `${name}, live`, value: liveMs, unit: "ms" }]),
      { area: "xDS to Envoy", what: `${name}, on the wire`, value: bytes, unit: "bytes", ...change },
    ];
  });
}

async function graphRows(): Promise<BenchRow[]> {
  const { benchGraph } = await import("./graph.ts");
  return (await benchGraph()).map(({ name, value, unit }) => ({ area: "graph", what: name, value, unit }));
}

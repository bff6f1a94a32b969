// The recorded cases that need a world outside: a Consul, services that tell of their functions. Brings up what a case names, runs the
// control plane on it until it has settled, and gives what came of it in the terms of the recording.
import type { JsonObject } from "@bufbuild/protobuf";
import { upstreamJson } from "../../src/admin/views.ts";
import { builtins } from "../../src/builtins.ts";
import { ControlPlane, type Translation } from "../../src/control-plane.ts";
import type { Logger } from "../../src/plugin/upstream-type.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { findConsul, type RunningConsul, startConsul } from "../servers/consul.ts";
import { startTill, type Till } from "../servers/till.ts";
import type { Case } from "./cases.ts";
import { differences, type Output } from "./compare.ts";
import { outputOf, resourcesOf, servedBy } from "./translate.ts";

/** Where the recording had its servers. */
const consulPorts = { http: 28500, dns: 28600 };
const tillPorts = /\b2809[0-5]\b/;

export type Need = "Consul" | "services";

/** What a case needs to be run; undefined: nothing. */
export function needOf({ input, consulServices }: Case): Need | undefined {
  if (consulServices !== undefined) return "Consul";
  return tillPorts.test(input) ? "services" : undefined;
}

/** Servers come up when the first case needs them, and go with the lab. */
export class Lab implements AsyncDisposable {
  readonly #open = new AsyncDisposableStack();
  #consul: Promise<RunningConsul> | undefined;
  #till: Promise<Till> | undefined;
  #before: Promise<unknown> = Promise.resolve();

  /** Why a case cannot be run here; undefined when it can. */
  missing(need: Need): string | undefined {
    return need === "Consul" && findConsul() === undefined ? "there is no Consul: npm test builds one, or set CONSUL_BIN" : undefined;
  }

  /** What services were asked so far, by the port of the recording. */
  async asked(): Promise<ReadonlyMap<number, readonly string[]>> {
    return (await this.#startedTill()).asked;
  }

  async run(each: Case): Promise<Output> {
    return needOf(each) === "Consul" ? this.#withConsul(each) : this.#withServices(each);
  }

  /** One case at a time: its services are Consul's only ones. */
  async #withConsul(each: Case): Promise<Output> {
    const turn = this.#before.then(async () => {
      this.#consul ??= startConsul().then((consul) => this.#open.use(consul));
      const consul = await this.#consul;
      const services = each.consulServices as readonly { readonly ID?: string; readonly Name: string }[];
      for (const service of services) await consul.register(service);
      try {
        const ports = new Map([
          [consulPorts.http, consul.httpPort],
          [consulPorts.dns, consul.dnsPort],
        ]);
        return await settled(each, ports, 400);
      } finally {
        for (const { ID, Name } of services) await consul.deregister(ID ?? Name);
      }
    });
    this.#before = turn.catch(() => undefined);
    return turn;
  }

  async #withServices(each: Case): Promise<Output> {
    return settled(each, (await this.#startedTill()).ports, 1_500);
  }

  #startedTill(): Promise<Till> {
    this.#till ??= startTill().then((till) => this.#open.use(till));
    return this.#till;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#before;
    await this.#open.disposeAsync();
  }
}

const patienceMs = 15_000;
/** An outcome that is not the expected one, and does not change for so long, is the outcome. */
const stillMs = 3_000;

/** Runs the control plane until its outcome stays: for `quietMs` where it is the expected one, in which more would have been found. */
async function settled(each: Case, ports: ReadonlyMap<number, number>, quietMs: number): Promise<Output> {
  await using plane = new ControlPlane({
    sources: [memorySource(resourcesOf(movedTo(each, ports)))],
    consumers: [],
    plugins: builtins,
    log: silent,
    looksOutside: true,
    functionPace: { firstMs: 0, retryMs: 200, maxRetryMs: 1_000, gapMs: 0, parallel: 8 },
  });
  plane.start();
  await plane.ready;
  const begun = performance.now();
  let last = "";
  for (let since = begun; ; ) {
    const output = movedBack(outputNow(plane.current), ports);
    const now = performance.now();
    const text = JSON.stringify(output);
    if (text !== last) since = now;
    last = text;
    const enough = differences(each.expected, output).length === 0 ? quietMs : stillMs;
    if (now - since >= enough || now - begun >= patienceMs) return output;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function outputNow(translation: Translation): Output {
  const resources = [...translation.resources.values()];
  // What has a colon in its name lives in memory only; everything else is an object that one can get.
  const upstreams = resources.filter(({ kind, ref }) => kind === "Upstream" && !ref.name.includes(":"));
  return { ...outputOf(translation.statuses, servedBy(translation)), discovered: upstreams.map(upstreamJson) };
}

function movedTo(each: Case, ports: ReadonlyMap<number, number>): Pick<Case, "input" | "settings"> {
  const move = (text: string) => [...ports].reduce((moved, [from, to]) => moved.replace(new RegExp(`\\b${from}\\b`, "g"), `${to}`), text);
  const settings = JSON.parse(move(JSON.stringify(each.settings))) as JsonObject & { spec: JsonObject };
  // Upstreams were discovered in the recordings of discovery only.
  if (each.area !== "discovery") settings.spec.discovery = { ...(settings.spec.discovery as JsonObject), udsOptions: { enabled: false } };
  return { input: move(each.input), settings };
}

function movedBack(output: Output, ports: ReadonlyMap<number, number>): Output {
  const text = [...ports].reduce((moved, [from, to]) => moved.replace(new RegExp(`\\b${to}\\b`, "g"), `${from}`), JSON.stringify(output));
  return JSON.parse(text) as Output;
}

const nothing = () => undefined;
const silent: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };

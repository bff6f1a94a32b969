// What endpoints and discovery have in common: the connection of the Settings, and how an outage is told.

import { Report } from "../../model/problem.ts";
import { resourceKey } from "../../model/ref.ts";
import type { Spec } from "../../model/resource.ts";
import type { EdgeContext } from "../../plugin/upstream-type.ts";
import { ConsulClient } from "./client.ts";
import { connectionOf } from "./connection.ts";
import { ConsulError } from "./consulError.ts";

type ConsulSettings = NonNullable<Spec<"Settings">["consul"]>;

/** An agent tells its servers again what runs beside it once a minute; so long an empty catalog after an outage is not believed. */
export const holdMs = 60_000;

/** Where findings about Consul itself go: Upstreams are not to blame for it. */
const settingsKey = resourceKey("Settings", { namespace: "gloo-system", name: "default" });

/** Undefined where the Settings have no Consul, or one that cannot be used; the latter is reported. */
export function connect(context: EdgeContext): ConsulClient | undefined {
  const settings = context.settings().consul;
  if (settings?.serviceDiscovery === undefined) return undefined;
  try {
    return new ConsulClient(connectionOf(settings));
  } catch (error) {
    const report = new Report(settingsKey);
    report.error("ConsulSettingsUnusable", `Consul cannot be asked: ${(error as Error).message}`, { path: "consul" });
    context.report(report);
    return undefined;
  }
}

/** How long Consul may hold a question. Its own default, 5 minutes, is how late an outage without a sound would be noticed. */
export function waitMs(settings: ConsulSettings): number {
  return Math.min(600_000, Math.max(1000, milliseconds(settings.waitTime) ?? 60_000));
}

export function milliseconds(duration: { readonly seconds: bigint; readonly nanos: number } | undefined): number | undefined {
  return duration && Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** What is wrong with Consul at this moment, told when it begins and when it ends. */
export class Faults {
  readonly #address: string;
  readonly #consequence: string;
  readonly #context: EdgeContext;
  readonly #faults = new Map<string, { readonly error: Error; readonly dataCentre: string | undefined }>();
  readonly #names = new Map<string, Error>();
  readonly #standing: (report: Report) => void;
  #told = "";

  /** `standing` adds what is wrong with the Settings themselves. */
  constructor(address: string, consequence: string, context: EdgeContext, standing: (report: Report) => void = () => undefined) {
    this.#address = address;
    this.#consequence = consequence;
    this.#context = context;
    this.#standing = standing;
    this.#tell();
  }

  /** `question` is whatever failed; undefined: it works now. */
  note(question: string, error: Error | undefined, dataCentre?: string): void {
    if (error) this.#faults.set(question, { error, dataCentre });
    else if (!this.#faults.delete(question)) return;
    this.#tell();
  }

  noteName(name: string, error: Error | undefined): void {
    if (error) this.#names.set(name, error);
    else if (!this.#names.delete(name)) return;
    this.#tell();
  }

  #tell(): void {
    const report = new Report(settingsKey);
    this.#standing(report);
    const [first] = this.#faults.values();
    if (first) this.#report(report, first.error, first.dataCentre);
    const [name] = this.#names;
    if (name) {
      report.warn("ConsulNameNotResolved", `the address ${name[0]} of a Consul service cannot be resolved: ${name[1].message}`, {
        path: "consul.dnsAddress",
        hint: "dnsAddress is the DNS server that is asked; it must know this name",
      });
    }
    const words = report.problems.map(({ reason }) => reason).join();
    // Once when it begins, once when it ends, and not for each of a thousand services.
    if (words === this.#told) return;
    this.#told = words;
    this.#context.report(report);
    const fields = { consul: this.#address, ...(first && { error: first.error.message }) };
    if (words === "") this.#context.log.info(fields, "Consul answers again");
    else this.#context.log.warn(fields, report.problems[0]?.message ?? "");
  }

  #report(report: Report, error: Error, dataCentre: string | undefined): void {
    const where = `Consul at ${this.#address}${dataCentre ? `, asked about ${dataCentre},` : ""}`;
    if (error instanceof ConsulError && error.fault === "denied") {
      report.warn("ConsulDenied", `${where} ${error.message}; ${this.#consequence}`, {
        path: "consul.token",
        hint: 'the token needs `service_prefix "" { policy = "read" }` and `node_prefix "" { policy = "read" }`',
      });
      return;
    }
    report.warn("ConsulUnreachable", `${where} cannot be used: ${error.message}; ${this.#consequence}`, { path: "consul.httpAddress" });
  }
}

// Outlier detection: hosts that answer badly, one after another or more than their siblings, get no requests for a while. As Envoy counts.

import type { CompiledOutliers } from "../compile/outlier-detection.ts";

/** What became of a request, as far as its host is to blame. */
export type Outcome = { readonly kind: "status"; readonly status: number } | { readonly kind: "connected" } | { readonly kind: "local" };

export interface OutlierHost {
  isEjected: boolean;
}

export interface OutlierStats {
  ejections_active: number;
  ejections_enforced_total: number;
  ejections_overflow: number;
}

class Record {
  /** In a row. */
  fives = 0;
  gateways = 0;
  locals = 0;
  /** In this interval. */
  total = 0;
  good = 0;
  localTotal = 0;
  localGood = 0;
  ejectedAt = 0;
  backoff = 0;
}

export class OutlierDetector<H extends OutlierHost> {
  readonly stats: OutlierStats = { ejections_active: 0, ejections_enforced_total: 0, ejections_overflow: 0 };
  readonly #records = new Map<H, Record>();
  readonly #onChange: () => void;
  readonly #timer: NodeJS.Timeout;
  #config: CompiledOutliers;

  /** @param onChange a host was ejected, or comes back */
  constructor(config: CompiledOutliers, onChange: () => void) {
    this.#config = config;
    this.#onChange = onChange;
    this.#timer = setInterval(() => this.#onInterval(), config.intervalMs);
    this.#timer.unref();
  }

  get intervalMs(): number {
    return this.#config.intervalMs;
  }

  configure(config: CompiledOutliers): void {
    this.#config = config;
  }

  /** These are the hosts now. */
  setHosts(hosts: readonly H[]): void {
    const now = new Set(hosts);
    for (const host of this.#records.keys()) {
      if (now.has(host)) continue;
      if (host.isEjected) this.stats.ejections_active--;
      this.#records.delete(host);
    }
    for (const host of hosts) if (!this.#records.has(host)) this.#records.set(host, new Record());
  }

  report(host: H, outcome: Outcome): void {
    const record = this.#records.get(host);
    if (record === undefined) return;
    const { splitsLocalErrors } = this.#config;
    switch (outcome.kind) {
      case "status":
        this.#reportStatus(host, record, outcome.status);
        break;
      case "connected":
        if (!splitsLocalErrors) break;
        record.localTotal++;
        record.localGood++;
        record.locals = 0;
        break;
      case "local":
        // What never was an answer counts as 503, unless it is counted on its own.
        if (!splitsLocalErrors) this.#reportStatus(host, record, 503);
        else {
          record.localTotal++;
          record.locals = this.#count(host, "local", record.locals + 1);
        }
    }
  }

  #reportStatus(host: H, record: Record, status: number): void {
    record.total++;
    if (status < 500) {
      record.good++;
      record.fives = 0;
      record.gateways = 0;
      return;
    }
    record.gateways = status >= 502 && status <= 504 ? this.#count(host, "gateway", record.gateways + 1) : 0;
    record.fives = this.#count(host, "5xx", record.fives + 1);
  }

  /** Returns where counting goes on: at the start after each attempt to eject, whatever came of it, so that the next row is another one. */
  #count(host: H, kind: "5xx" | "gateway" | "local", inARow: number): number {
    const { count, enforcing } = this.#config.consecutive[kind];
    if (inARow < count || host.isEjected) return inARow;
    this.#eject(host, enforcing);
    return 0;
  }

  #eject(host: H, enforcing: number): void {
    if (host.isEjected) return;
    const { maxEjectionPercent, ejectsOneAlways, baseEjectionMs, maxEjectionMs } = this.#config;
    const percent = (100 * (this.stats.ejections_active + 1)) / this.#records.size;
    if (percent > maxEjectionPercent && !(ejectsOneAlways && this.stats.ejections_active === 0)) {
      this.stats.ejections_overflow++;
      return;
    }
    if (Math.random() * 100 >= enforcing) return;
    const record = this.#records.get(host) as Record;
    host.isEjected = true;
    record.ejectedAt = performance.now();
    if (record.backoff * baseEjectionMs < maxEjectionMs + baseEjectionMs) record.backoff++;
    this.stats.ejections_active++;
    this.stats.ejections_enforced_total++;
    this.#onChange();
  }

  #uneject(host: H, record: Record): void {
    host.isEjected = false;
    record.fives = 0;
    record.gateways = 0;
    record.locals = 0;
    this.stats.ejections_active--;
  }

  /** An active health check found it well. */
  onHealthy(host: H): void {
    const record = this.#records.get(host);
    if (record === undefined || !host.isEjected || !this.#config.checkUnejects) return;
    this.#uneject(host, record);
    this.#onChange();
  }

  #onInterval(): void {
    const { baseEjectionMs, maxEjectionMs } = this.#config;
    const now = performance.now();
    let isChanged = false;
    for (const [host, record] of this.#records) {
      if (host.isEjected) {
        if (now - record.ejectedAt < Math.min(baseEjectionMs * record.backoff, maxEjectionMs)) continue;
        this.#uneject(host, record);
        isChanged = true;
      } else if (record.backoff > 0) record.backoff--;
    }
    this.#compare();
    for (const record of this.#records.values()) {
      record.total = 0;
      record.good = 0;
      record.localTotal = 0;
      record.localGood = 0;
    }
    if (isChanged) this.#onChange();
  }

  /** Each host against its siblings. */
  #compare(): void {
    const { successRate, failurePercentage, splitsLocalErrors } = this.#config;
    const all: [total: "total" | "localTotal", good: "good" | "localGood", rate: number, failure: number][] = [
      ["total", "good", successRate.enforcing, failurePercentage.enforcing],
    ];
    if (splitsLocalErrors) all.push(["localTotal", "localGood", successRate.enforcingLocal, failurePercentage.enforcingLocal]);
    for (const [total, good, enforcingRate, enforcingFailure] of all) {
      const rates = this.#rates(total, good, successRate.volume);
      if (enforcingRate > 0 && rates.length >= successRate.minHosts && rates.length > 0) {
        const mean = rates.reduce((sum, { rate }) => sum + rate, 0) / rates.length;
        const deviation = Math.sqrt(rates.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / rates.length);
        for (const { host, rate } of rates) if (rate < mean - successRate.deviations * deviation) this.#eject(host, enforcingRate);
      }
      if (enforcingFailure === 0) continue;
      const failing = this.#rates(total, good, failurePercentage.volume);
      if (failing.length < failurePercentage.minHosts) continue;
      for (const { host, rate } of failing) if (100 - rate >= failurePercentage.threshold) this.#eject(host, enforcingFailure);
    }
  }

  /** Percent of success, of the hosts with enough requests to tell. */
  #rates(total: "total" | "localTotal", good: "good" | "localGood", volume: number): { readonly host: H; readonly rate: number }[] {
    const rates: { host: H; rate: number }[] = [];
    for (const [host, record] of this.#records)
      if (!host.isEjected && record[total] > 0 && record[total] >= volume) rates.push({ host, rate: (100 * record[good]) / record[total] });
    return rates;
  }

  /** Forgets everything; nobody stays ejected. */
  close(): void {
    clearInterval(this.#timer);
    for (const host of this.#records.keys()) host.isEjected = false;
    this.#records.clear();
  }
}

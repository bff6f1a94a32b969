// Which traces are kept, where nobody has decided before: a share of them that the agent tells with each of its answers, by service and environment.

export interface Decision {
  /** -1 and 2 are the word of a person, 0 and 1 that of a rate; above 0 it is kept. */
  readonly priority: number;
  /** What decided it: 0 nobody has said a rate, 1 the rate of the agent, 4 a person. Undefined: somebody else, before. */
  readonly mechanism: 0 | 1 | 4 | undefined;
  readonly rate: number | undefined;
}

/** The sampling of the gateway has it so. */
export const rejected: Decision = { priority: -1, mechanism: 4, rate: undefined };

/** From an agent. */
export class Rates {
  #byKey: ReadonlyMap<string, number> = new Map();
  /** Of all others. It stays until another is said. */
  #usual: number | undefined;

  /** Undefined: the agent has not said any. */
  of(service: string, environment: string): number | undefined {
    return this.#byKey.get(keyOf(service, environment)) ?? this.#usual;
  }

  /** What cannot be read changes nothing. */
  take(answer: Buffer): void {
    const said = readRates(answer);
    if (said === undefined) return;
    this.#byKey = said;
    this.#usual = said.get(keyOf("", "")) ?? this.#usual;
  }
}

function keyOf(service: string, environment: string): string {
  return `service:${service},env:${environment}`;
}

/** Of `{"rate_by_service":{"service:shop,env:":0.5}}`. */
function readRates(answer: Buffer): ReadonlyMap<string, number> | undefined {
  let said: unknown;
  try {
    said = JSON.parse(answer.toString());
  } catch {
    return undefined;
  }
  if (typeof said !== "object" || said === null || Array.isArray(said)) return undefined;
  const rates = (said as { rate_by_service?: unknown }).rate_by_service ?? {};
  if (typeof rates !== "object" || rates === null || Array.isArray(rates)) return undefined;
  const entries = Object.entries(rates as Record<string, unknown>);
  if (!entries.every(([, rate]) => typeof rate === "number" && rate >= 0 && rate <= 1)) return undefined;
  return new Map(entries as [string, number][]);
}

const [mask, factor] = [0xffff_ffff_ffff_ffffn, 1_111_111_111_111_111_111n];

/** By the trace, so that all who sample it by the same rate agree. */
export function rateDecision(rates: Rates, traceId: string, service: string, environment: string): Decision {
  const said = rates.of(service, environment);
  const rate = said ?? 1;
  const luck = (BigInt(`0x${traceId.slice(-16)}`) * factor) & mask;
  const isKept = rate === 1 || luck <= BigInt(Math.floor(rate * 2 ** 64));
  return { priority: isKept ? 1 : 0, mechanism: said === undefined ? 0 : 1, rate };
}

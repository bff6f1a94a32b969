// One mistake is told once: where it is. A RouteTable's is also in the status of each VirtualService that leads to it, and that of a
// VirtualService in those of its Gateways, because Gloo's are; whoever mends it has one place to go to.
import type { Finding } from "../control-plane.ts";
import type { ResourceKey } from "../model/ref.ts";

/** The same findings in the same order, without those that repeat another one of them. */
export function withoutEchoes(findings: readonly Finding[]): readonly Finding[] {
  const messages = new Map<ResourceKey, Messages>();
  for (const { problem } of findings) {
    if (problem.resource === undefined || problem.repeats !== undefined) continue;
    const known = messages.get(problem.resource);
    if (known) known.add(problem.message);
    else messages.set(problem.resource, new Messages(problem.message));
  }
  const isShared = findings.some(({ problem }) => problem.reason === "DomainConflict");
  return findings.filter(({ problem: { reason, message, repeats } }) => {
    if (reason === "GatewayDomainConflict") return !isShared;
    return repeats === undefined || messages.get(repeats)?.hasPartOf(message) !== true;
  });
}

/** Of one resource. They are repeated in the order in which they are told, so the next is asked first: there may be thousands of both. */
class Messages {
  readonly #all: string[];
  #next = 0;

  constructor(first: string) {
    this.#all = [first];
  }

  add(message: string): void {
    this.#all.push(message);
  }

  /** Whether one of them stands in a longer message. */
  hasPartOf(message: string): boolean {
    for (let i = 0; i < this.#all.length; i++) {
      const at = (this.#next + i) % this.#all.length;
      if (!message.includes(this.#all[at] as string)) continue;
      this.#next = at + 1;
      return true;
    }
    return false;
  }
}

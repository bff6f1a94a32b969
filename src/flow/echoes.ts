// One mistake is told once: where it is. A RouteTable's is also in the status of each VirtualService that leads to it, and that of a
// VirtualService in those of its Gateways, because Gloo's are; whoever mends it has one place to go to.
import type { Finding } from "../control-plane.ts";
import type { ResourceKey } from "../model/ref.ts";

/** The same findings in the same order, without those that repeat another one of them. */
export function withoutEchoes(findings: readonly Finding[]): readonly Finding[] {
  const messages = new Map<ResourceKey, string[]>();
  for (const { problem } of findings) {
    if (problem.resource === undefined || problem.repeats !== undefined) continue;
    const known = messages.get(problem.resource);
    if (known) known.push(problem.message);
    else messages.set(problem.resource, [problem.message]);
  }
  const isShared = findings.some(({ problem }) => problem.reason === "DomainConflict");
  return findings.filter(({ problem: { reason, message, repeats } }) => {
    if (reason === "GatewayDomainConflict") return !isShared;
    return repeats === undefined || messages.get(repeats)?.some((each) => message.includes(each)) !== true;
  });
}

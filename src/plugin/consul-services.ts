// Services of Consul as destinations mean them: by name, without an Upstream that somebody wrote.
import type { Ref } from "../model/ref.ts";
import type { World } from "./world.ts";

const namespace = "gloo-system";
const prefix = "consul-svc:";

/** The Upstream that Gloo imagines for each service of Consul, and that discovery makes in memory where there is one. */
export function imaginedConsulService(serviceName: string): Ref {
  return { name: prefix + serviceName, namespace };
}

/** Whether what is not there does not exist: there is no Consul, or its services are known. None at all may be a catalog not read yet. */
export function knowsConsul(world: World): boolean {
  if (world.settings.consul?.serviceDiscovery === undefined) return true;
  return world.list("Upstream", namespace).some(({ ref }) => ref.name.startsWith(prefix));
}

export function hintOfConsul({ settings }: World): { readonly hint?: string } {
  if (settings.consul?.serviceDiscovery !== undefined) return {};
  return { hint: "the Settings do not say that there is a Consul: add `consul: {httpAddress: …, serviceDiscovery: {}}`" };
}

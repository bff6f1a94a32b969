// Resources that are right in themselves and do nothing: a VirtualService that no Gateway takes, a Gateway that is not read.
import { type Problem, problem } from "../model/problem.ts";
import { formatRef } from "../model/ref.ts";
import type { Resource, Spec } from "../model/resource.ts";
import type { World } from "../plugin/world.ts";
import { controlNamespace, isRead, partsOf } from "./gateways.ts";
import { selects } from "./selection.ts";

/** Gloo, too, passes over such a Gateway, and tells nobody. */
export function gatewayNotRead({ key, ref }: Resource<"Gateway">, settings: Spec<"Settings">): Problem | undefined {
  if (isRead(ref, settings)) return undefined;
  const namespace = controlNamespace(settings);
  return problem("warning", key, "GatewayNotRead", `Gateways are read in the namespace ${namespace}, and this one is in ${ref.namespace}`, {
    path: "metadata.namespace",
    hint: `write namespace: ${namespace}, or set gateway.readGatewaysFromAllNamespaces in Settings`,
  });
}

/** `gateways`: those that are read. */
export function notServed(
  virtualService: Resource<"VirtualService">,
  gateways: readonly Resource<"Gateway">[],
  world: World,
): Problem | undefined {
  const { key, spec } = virtualService;
  if (spec === undefined || gateways.some((gateway) => selects(gateway, virtualService, world))) return undefined;
  const parts = gateways.flatMap((gateway) => partsOf(gateway, world).parts).filter((part) => part.kind === "http");
  const ofItsKind = parts.filter((part) => part.takesTls === (spec.sslConfig !== undefined));
  const say = (why: string, details: { readonly path?: string; readonly hint: string }) =>
    problem("warning", key, "NotServed", `no Gateway serves this: ${why}`, details);
  if (parts.length === 0) return say("there is none with httpGateway", { hint: "add a Gateway with httpGateway: {}" });
  if (ofItsKind.length > 0) {
    const names = gateways.map(({ ref }) => formatRef(ref)).join(", ");
    return say("its labels, its namespace or its name are not what they select", { hint: `the Gateways that are read: ${names}` });
  }
  return spec.sslConfig
    ? say("it has sslConfig, and no Gateway has ssl: true", {
        path: "sslConfig",
        hint: "add a Gateway with ssl: true, bindPort: 8443 and httpGateway: {}",
      })
    : say("it has no sslConfig, and every Gateway has ssl: true", { hint: "add sslConfig, or a Gateway without ssl" });
}

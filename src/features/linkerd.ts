// `linkerd: true` in the Settings: requests to Kubernetes Upstreams say to Linkerd's proxy which Service they are for.
import type { Feature } from "../plugin/feature.ts";

export const linkerd: Feature = {
  name: "linkerd",
  always: true,
  route(route, _options, _inherited, { world, upstream }) {
    const type = upstream?.spec?.upstreamType;
    if (!world.settings.linkerd || type?.case !== "kube") return route;
    const { serviceName, serviceNamespace, servicePort } = type.value;
    const value = `${serviceName}.${serviceNamespace}.svc.cluster.local:${servicePort}`;
    const header = { header: { key: "l5d-dst-override", value }, append: false };
    return { ...route, requestHeadersToAdd: [...(route.requestHeadersToAdd ?? []), header] };
  },
};

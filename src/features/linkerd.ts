// `linkerd: true` in the Settings: requests to Kubernetes Upstreams say to Linkerd's proxy which Service they are for.
import type { HeaderInit } from "../plugin/addedHeaders.ts";
import type { Feature } from "../plugin/feature.ts";

export const linkerd: Feature = {
  name: "linkerd",
  destination(draft, { world, upstream }) {
    const type = upstream.spec?.upstreamType;
    if (!world.settings.linkerd || type?.case !== "kube") return draft;
    const { serviceName, serviceNamespace, servicePort } = type.value;
    const value = `${serviceName}.${serviceNamespace}.svc.cluster.local:${servicePort}`;
    const header = { header: { key: "l5d-dst-override", value }, append: false };
    const { requestHeadersToAdd = [] } = draft as { readonly requestHeadersToAdd?: readonly HeaderInit[] };
    return { ...draft, requestHeadersToAdd: [...requestHeadersToAdd, header] };
  },
};

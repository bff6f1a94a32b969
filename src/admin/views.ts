// From what the control plane knows to what the admin API says. Pure.
import type { JsonObject } from "@bufbuild/protobuf";
import type { Finding, Translation } from "../control-plane.ts";
import type { BatchReport } from "../flow/batch-report.ts";
import { type EnvoyResource, type ProxyKey, typeUrls } from "../model/envoy-resource.ts";
import type { Resource } from "../model/resource.ts";
import type { Status } from "../model/status.ts";
import type { AdminEvent, EnvoyKind, FindingView, ProxyView, ResourceView, StatusView } from "./contract.ts";
import { envoyJson, envoyType, envoyTypes } from "./envoy-json.ts";
import { findingJson } from "./finding-json.ts";
import { plainSpec, schemaOf } from "./plain-spec.ts";

import { redactAnnotations, redactMessage, SecretValues } from "./redact.ts";

export { plainSpec } from "./plain-spec.ts";

/** Namespace under which statuses are reported, as Gloo reports under its own. */
const reporterNamespace = "gloo-system";

const typeUrlOf = { clusters: typeUrls.cluster, endpoints: typeUrls.endpoint, listeners: typeUrls.listener, routes: typeUrls.route };

/** The same translation with each part computed once, at first use: a running control plane computes its own whenever asked. */
export function oneView(translation: Translation): Translation {
  const part = <K extends keyof Translation>(key: K) => {
    let value: Translation[K] | undefined;
    return () => {
      value ??= translation[key];
      return value;
    };
  };
  const [statuses, resources, findings, proxies] = [part("statuses"), part("resources"), part("findings"), part("proxies")];
  return {
    get statuses() {
      return statuses();
    },
    get resources() {
      return resources();
    },
    get findings() {
      return findings();
    },
    get proxies() {
      return proxies();
    },
    textOf: (file) => translation.textOf(file),
  };
}

export function resourceView(resource: Resource, status: Status | undefined, secrets: SecretValues): ResourceView {
  const { ref, labels, annotations } = resource;
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: {
      name: ref.name,
      namespace: ref.namespace,
      ...(Object.keys(labels).length > 0 && { labels }),
      ...(Object.keys(annotations).length > 0 && { annotations: redactAnnotations(annotations, secrets) }),
      ...(resource.createdAt && { creationTimestamp: resource.createdAt }),
    },
    ...(resource.spec && { spec: specJson(resource, secrets) }),
    ...(status && { status: { statuses: { [reporterNamespace]: statusView(status, secrets) } } }),
    origin: { source: resource.origin.source, ...(resource.origin.file && { file: resource.origin.file }) },
    ...(resource.isStale && { isStale: true as const }),
  };
}

export function statusView(status: Status, secrets: SecretValues): StatusView {
  const { subresourceStatuses, ...own } = status;
  const scrub = <T extends { readonly reason: string }>(one: T): T => ({ ...one, reason: secrets.scrub(one.reason) });
  const parts = Object.entries(subresourceStatuses).map(([name, part]) => [name, scrub(part)] as const);
  return { ...scrub(own), ...(parts.length > 0 && { subresourceStatuses: Object.fromEntries(parts) }) };
}

export function findingView(finding: Finding, secrets: SecretValues): FindingView {
  return findingJson(finding, (text) => secrets.scrub(text));
}

export function batchEvent(report: BatchReport, translation: Translation): AdminEvent {
  const { changed, keptLastGood, milliseconds } = report;
  // Going through all resources for their secrets is for those batches only that have something to blank.
  const secrets = report.appeared.length + report.resolved.length === 0 ? new SecretValues([]) : secretsOf(translation);
  const views = (findings: readonly Finding[]) => findings.map((finding) => findingView(finding, secrets));
  return { kind: "batch", changed, appeared: views(report.appeared), resolved: views(report.resolved), keptLastGood, milliseconds };
}

export function proxyViews(translation: Translation): ProxyView[] {
  return [...translation.proxies].map(([key, resources]) => {
    const count = (kind: EnvoyKind) => resources.filter((each) => each.typeUrl === typeUrlOf[kind]).length;
    return { key, clusters: count("clusters"), endpoints: count("endpoints"), listeners: count("listeners"), routes: count("routes") };
  });
}

/** The resources of one kind that a proxy is served, ordered by name. */
export function envoyResources(resources: readonly EnvoyResource[], kind: EnvoyKind): EnvoyResource[] {
  return resources.filter((each) => each.typeUrl === typeUrlOf[kind]).sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

/** As {@link envoyJson}, with its secrets blanked. */
export function redactedEnvoyJson(resource: EnvoyResource, secrets: SecretValues): unknown {
  return redactMessage(envoyType(resource.typeUrl), envoyJson(resource), secrets, envoyTypes());
}

export function secretsOf(translation: Translation): SecretValues {
  return new SecretValues(translation.resources.values());
}

/** The proxy meant when none is named: Gloo's own default, else the first. */
export function defaultProxy(translation: Translation): ProxyKey | undefined {
  const usual: ProxyKey = "gloo-system~gateway-proxy";
  const { proxies } = translation;
  return proxies.has(usual) ? usual : [...proxies.keys()].sort()[0];
}

function apiVersionOf(resource: Resource): string {
  const info = schemaOf(resource);
  if (info) return `${info.group}/${info.version}`;
  return resource.kind === "EndpointSlice" ? "discovery.k8s.io/v1" : "v1";
}

function specJson(resource: Resource, secrets: SecretValues): unknown {
  const info = schemaOf(resource);
  return info ? redactMessage(info.schema, plainSpec(resource) as JsonObject, secrets, envoyTypes()) : resource.spec;
}

/** The Upstreams that discovery made, as Gloo writes them. */
export function discoveredUpstreams(translation: Translation): JsonObject[] {
  const all = [...translation.resources.values()];
  return all.filter(({ kind, origin }) => kind === "Upstream" && origin.source === "discovery").map(upstreamJson);
}

/** With `metadata` and `spec`, secrets as they are. */
export function upstreamJson(upstream: Resource): JsonObject {
  const { ref, labels, annotations } = upstream;
  const metadata = {
    name: ref.name,
    namespace: ref.namespace,
    ...(Object.keys(labels).length > 0 && { labels: { ...labels } }),
    ...(Object.keys(annotations).length > 0 && { annotations: { ...annotations } }),
  };
  return { metadata, spec: plainSpec(upstream) as JsonObject };
}

// Where a finding belongs that was made by somebody who knows a resource, and not its fields: the embedded data plane, Envoy, whoever
// notes that a Secret is gone. Worked out when findings are shown, as nothing that is served depends on it.
import type { FieldPlace, Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Kind, Resource } from "../model/resource.ts";

/** What is known at that moment. */
export interface Known {
  get(key: ResourceKey): Resource | undefined;
  all(kind: Kind): Iterable<Resource>;
}

/** Fields that may be meant, the likeliest first: one of them is written. Empty: the problem says itself where it is. */
export function fieldsMeant(found: Problem, known: Known): readonly FieldPlace[] {
  const { resource, path, reason } = found;
  if (resource === undefined || path !== undefined) return [];
  const own = (...paths: readonly string[]) => paths.map((each) => ({ resource, path: each }));
  switch (reason) {
    case "DnsNotResolved":
      return own(...hostsNamed(found.message, known.get(resource)));
    case "ListenerNotBound":
      return own("bindPort");
    case "AccessLogNotWritten":
      return own(...logPaths(found.message, known.get(resource)));
    case "TlsInvalid":
      return own("ssl", "hybridGateway", "tcpGateway");
    case "TlsSecretInvalid":
      return own(...secretKeys(found.message));
    case "SecretDeleted":
      return [...refersTo(found.message, known), ...own("sslConfig.secretRef", "sslConfig")];
    default:
      return [];
  }
}

function hostsNamed(message: string, resource: Resource | undefined): string[] {
  const type = resource?.kind === "Upstream" ? (resource as Resource<"Upstream">).spec?.upstreamType : undefined;
  const hosts = type?.case === "static" ? type.value.hosts : [];
  return hosts.flatMap(({ addr }, i) => (names(message, addr) ? [`static.hosts[${i}].addr`] : []));
}

/** Whole: `a.test` is not named where `b.a.test` or `a.test.org` is. */
function names(message: string, host: string): boolean {
  const escaped = host.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return host !== "" && new RegExp(`(?<![\\w.-])${escaped}(?![\\w-]|\\.\\w)`).test(message);
}

function logPaths(message: string, resource: Resource | undefined): string[] {
  const options = resource?.kind === "Gateway" ? (resource as Resource<"Gateway">).spec?.options : undefined;
  return (["accessLoggingService", "listenerAccessLoggingService"] as const).flatMap((service) =>
    (options?.[service]?.accessLog ?? []).flatMap(({ OutputDestination: { case: kind, value } }, i) =>
      kind === "fileSink" && message.includes(` ${value.path}:`) ? [`options.${service}.accessLog[${i}].fileSink.path`] : [],
    ),
  );
}

/** Of a Secret of Kubernetes, then of our own form. */
function secretKeys(message: string): string[] {
  const [key, field] = /root CA/i.test(message)
    ? ["ca.crt", "rootCa"]
    : /key/.test(message)
      ? ["tls.key", "privateKey"]
      : ["tls.crt", "certChain"];
  return [`data["${key}"]`, `stringData["${key}"]`, `tls.${field}`];
}

/** The VirtualServices that name the Secret: the Gateway, which is told, only serves them. */
function refersTo(message: string, known: Known): FieldPlace[] {
  const [, namespace, name] = /^Secret ([^.]+)\.(\S+) was deleted/.exec(message) ?? [];
  const places: FieldPlace[] = [];
  for (const each of known.all("VirtualService")) {
    const secrets = (each as Resource<"VirtualService">).spec?.sslConfig?.sslSecrets;
    if (secrets?.case === "secretRef" && secrets.value.namespace === namespace && secrets.value.name === name)
      places.push({ resource: each.key, path: "sslConfig.secretRef" });
  }
  return places;
}

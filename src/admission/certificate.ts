// The webhook's certificate: made by whichever replica is first, kept in a Secret that all share, and named to the API server in the
// webhook's configuration. No Job and no cert-manager has to come before us.
import { type webcrypto, X509Certificate } from "node:crypto";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { backoffMs, pause } from "../lib/kubernetes/backoff.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import type { KubeObject, ResourceType } from "../lib/kubernetes/object.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import type { ServerCertificate } from "./server.ts";

export interface CertificateOptions {
  readonly api: KubeApi;
  readonly namespace: string;
  /** Of the Service in front of the replicas. */
  readonly service: string;
  readonly secret: string;
  /** Of the ValidatingWebhookConfiguration; undefined where somebody else fills in who is to be trusted. */
  readonly configuration: string | undefined;
  readonly log: Logger;
}

const secrets: ResourceType = { group: "", version: "v1", plural: "secrets", kind: "Secret", isNamespaced: true };
const configurations: ResourceType = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "validatingwebhookconfigurations",
  kind: "ValidatingWebhookConfiguration",
  isNamespaced: false,
};

const dayMs = 86_400_000;
const lifetimeMs = 365 * dayMs;
/** Renewed when less than this is left. */
const renewMs = 120 * dayMs;
/** How often the Secret is looked at: another replica may have renewed it. */
const lookMs = 3_600_000;
/** What a certificate's beginning lies before now, for clocks that are behind. */
const skewMs = dayMs;

/** A certificate, and those that the API server is to trust: the one before too, as a replica may still use it. */
interface Kept extends ServerCertificate {
  readonly trusted: string;
}

/** Yields the certificate, and each that comes after it. Waits out what goes wrong with the API server, and says so once. */
export async function* certificates(options: CertificateOptions, signal: AbortSignal): AsyncGenerator<ServerCertificate, void, undefined> {
  let failures = 0;
  let served = "";
  while (!signal.aborted) {
    try {
      const kept = await ensure(options, signal);
      await tellWhomToTrust(options, kept.trusted, signal);
      failures = 0;
      if (kept.cert !== served) yield kept;
      served = kept.cert;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof KubeError)) throw error;
      // Two replicas began at the same moment: the other one's is ours.
      if (error.fault !== "conflict") {
        if (failures === 0)
          options.log.warn({ error: error.message }, "the webhook has no certificate yet, or the API server does not know it");
        failures++;
      }
    }
    await pause(failures > 0 ? backoffMs(failures, { firstMs: 1_000, mostMs: 60_000 }) : lookMs, signal);
  }
}

async function ensure({ api, namespace, service, secret }: CertificateOptions, signal: AbortSignal): Promise<Kept> {
  const stored = await find(api, namespace, secret, signal);
  const kept = stored && keptIn(stored);
  const names = [
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.cluster.local`,
    `${service}.${namespace}`,
    service,
    "localhost",
  ];
  if (kept && isGood(kept.cert, names)) return kept;
  const made = await selfSigned(names);
  const next: Kept = { ...made, trusted: kept && !hasExpired(kept.cert) ? `${made.cert}${kept.cert}` : made.cert };
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const data = { "tls.crt": base64(next.cert), "tls.key": base64(next.key), "ca.crt": base64(next.trusted) };
  const object = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: stored?.metadata ?? { namespace, name: secret },
    type: "kubernetes.io/tls",
    data,
  };
  if (stored === undefined) await api.create(secrets, object, { signal });
  else await api.update(secrets, object, { signal });
  return next;
}

async function find(api: KubeApi, namespace: string, name: string, signal: AbortSignal): Promise<KubeObject | undefined> {
  try {
    return await api.get(secrets, { namespace, name }, { signal });
  } catch (error) {
    if (error instanceof KubeError && error.fault === "missing") return undefined;
    throw error;
  }
}

function keptIn({ data }: KubeObject): Kept | undefined {
  const text = (name: string) => {
    const value = (data as Readonly<Record<string, unknown>> | undefined)?.[name];
    return typeof value === "string" ? Buffer.from(value, "base64").toString("utf8") : "";
  };
  const kept = { cert: text("tls.crt"), key: text("tls.key"), trusted: text("ca.crt") };
  return kept.cert === "" || kept.key === "" ? undefined : { ...kept, trusted: kept.trusted || kept.cert };
}

function isGood(cert: string, names: readonly string[]): boolean {
  try {
    const parsed = new X509Certificate(cert);
    return parsed.validToDate.getTime() - Date.now() > renewMs && names.every((name) => parsed.checkHost(name) !== undefined);
  } catch {
    return false;
  }
}

function hasExpired(cert: string): boolean {
  try {
    return new X509Certificate(cert).validToDate.getTime() < Date.now();
  } catch {
    return true;
  }
}

/** Only where it is not so already. */
async function tellWhomToTrust({ api, configuration }: CertificateOptions, trusted: string, signal: AbortSignal): Promise<void> {
  if (configuration === undefined) return;
  const caBundle = Buffer.from(trusted).toString("base64");
  const object = await api.get(configurations, { name: configuration }, { signal });
  const webhooks = (object.webhooks ?? []) as readonly { readonly clientConfig?: { readonly caBundle?: string } }[];
  if (webhooks.every((each) => each.clientConfig?.caBundle === caBundle)) return;
  const next = webhooks.map((each) => ({ ...each, clientConfig: { ...each.clientConfig, caBundle } }));
  await api.update(configurations, { ...object, webhooks: next }, { signal });
}

/** For these names, as its own authority. */
async function selfSigned(names: readonly string[]): Promise<ServerCertificate> {
  const {
    BasicConstraintsExtension,
    ExtendedKeyUsage,
    ExtendedKeyUsageExtension,
    SubjectAlternativeNameExtension,
    X509CertificateGenerator,
  } = await library();
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
  const keys = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const now = Date.now();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: crypto.randomUUID().replaceAll("-", ""),
    name: "CN=headworks webhook",
    notBefore: new Date(now - skewMs),
    notAfter: new Date(now + lifetimeMs),
    signingAlgorithm: algorithm,
    keys: keys as never,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns" as const, value }))),
    ],
  });
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/(.{64})(?!$)/g, "$1\n")}\n-----END PRIVATE KEY-----\n`;
  return { cert: `${certificate.toString("pem").trim()}\n`, key };
}

async function library(): Promise<typeof import("@peculiar/x509")> {
  // It wants this to be there when it is loaded, and does not load it.
  await import("reflect-metadata");
  return await import("@peculiar/x509");
}

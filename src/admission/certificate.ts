// The webhook's certificate: made by whichever replica is first, kept in a Secret that all share, and named to the API server in the
// webhook's configuration. No Job and no cert-manager has to come before us.
import { createPrivateKey, type webcrypto, X509Certificate } from "node:crypto";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { backoffMs, pause } from "../lib/kubernetes/backoff.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import type { KubeObject, ResourceType } from "../lib/kubernetes/object.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { Changes, type NamedObject } from "./changes.ts";
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
/** How often it is looked at where nothing changes: it grows old all the same. */
const lookMs = 3_600_000;
/** What a certificate's beginning lies before now, for clocks that are behind. */
const skewMs = dayMs;

/** Between attempts that failed. */
const failureBackoff = { firstMs: 500, mostMs: 60_000 };
/** Between writes where somebody else keeps writing something else, after the first few. */
const contestBackoff = { firstMs: 2_000, mostMs: 300_000 };
const contestsAtOnce = 3;
/** A contest that has been quiet for so long is over. */
const forgetMs = 600_000;

/** By which we know our own. */
const subject = "CN=headworks webhook";

/** A certificate, and those that the API server is to trust: the one before too, as a replica may still use it. */
interface Kept extends ServerCertificate {
  readonly trusted: string;
}

/**
 * Yields the certificate, and each that comes after it. Waits out what goes wrong with the API server, and says so once.
 *
 * What others do to Secret and configuration is noticed at once: a replica that renews the certificate, and whoever puts a configuration
 * without our authority in the place of the one that has it (a replacing upgrade, GitOps).
 */
export async function* certificates(options: CertificateOptions, signal: AbortSignal): AsyncGenerator<ServerCertificate, void, undefined> {
  const { api, namespace, secret, configuration, log } = options;
  const own: readonly NamedObject[] = [
    { type: secrets, namespace, name: secret },
    ...(configuration === undefined ? [] : [{ type: configurations, name: configuration }]),
  ];
  await using changes = new Changes(api, own, log);
  const contest = new Contest(log);
  let failures = 0;
  let served = "";
  while (!signal.aborted) {
    try {
      const { kept, isNew } = await ensure(options, signal);
      // Whom to trust is told first, so that no certificate is served that is not trusted. The first one is better than none.
      if (served === "") yield kept;
      served ||= kept.cert;
      const isTold = await tellWhomToTrust(options, kept.trusted, signal);
      if (kept.cert !== served) yield kept;
      served = kept.cert;
      failures = 0;
      if (isNew || isTold) await contest.wrote(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof KubeError)) throw error;
      // Another replica was faster: what it wrote is ours, too. It is looked at again soon.
      if (error.fault !== "conflict" && failures === 0) log.warn({ error: error.message }, wordsOf(served));
      failures++;
    }
    await changes.next(failures > 0 ? backoffMs(failures, failureBackoff) : lookMs, signal);
  }
}

function wordsOf(served: string): string {
  return served === ""
    ? "the webhook has no certificate yet; objects are let in, or not, as its failurePolicy says"
    : "the API server could not be told to trust the webhook's certificate; it is tried again";
}

/** Slows down where somebody else writes all the time what we write. */
class Contest {
  readonly #log: Logger;
  #writes = 0;
  #last = Number.NEGATIVE_INFINITY;

  constructor(log: Logger) {
    this.#log = log;
  }

  async wrote(signal: AbortSignal): Promise<void> {
    const now = performance.now();
    this.#writes = now - this.#last < forgetMs ? this.#writes + 1 : 1;
    this.#last = now;
    const contests = this.#writes - contestsAtOnce;
    if (contests === 1)
      this.#log.warn(
        {},
        "somebody else keeps changing the webhook's configuration or the Secret of its certificate; have clientConfig.caBundle ignored there",
      );
    if (contests > 0) await pause(backoffMs(contests, contestBackoff), signal);
  }
}

/** The one that is kept, or a new one in its place. */
async function ensure(
  { api, namespace, service, secret }: CertificateOptions,
  signal: AbortSignal,
): Promise<{ readonly kept: Kept; readonly isNew: boolean }> {
  const stored = await find(api, namespace, secret, signal);
  const kept = stored && keptIn(stored);
  const name = `${service}.${namespace}.svc`;
  if (kept && isGood(kept, name)) return { kept, isNew: false };
  const made = await selfSigned([name, `${name}.cluster.local`, `${service}.${namespace}`, service, "localhost"]);
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
  return { kept: next, isNew: true };
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

/**
 * Somebody else's certificate (cert-manager's, say) is renewed by whom it belongs to, and replaced only when it cannot be used. The name
 * is the one that API servers ask for.
 */
function isGood({ cert, key }: Kept, name: string): boolean {
  try {
    const parsed = new X509Certificate(cert);
    const left = parsed.validToDate.getTime() - Date.now();
    const isOwn = parsed.subject === subject && parsed.issuer === subject;
    return (
      left > (isOwn ? renewMs : 0) &&
      parsed.validFromDate.getTime() <= Date.now() &&
      parsed.checkHost(name, { subject: "never" }) !== undefined &&
      parsed.checkPrivateKey(createPrivateKey(key))
    );
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

/** Only where it is not so already; true when it was not. */
async function tellWhomToTrust({ api, configuration }: CertificateOptions, trusted: string, signal: AbortSignal): Promise<boolean> {
  if (configuration === undefined) return false;
  const caBundle = Buffer.from(trusted).toString("base64");
  const object = await api.get(configurations, { name: configuration }, { signal });
  const webhooks = (object.webhooks ?? []) as readonly { readonly clientConfig?: { readonly caBundle?: string } }[];
  if (webhooks.every((each) => each.clientConfig?.caBundle === caBundle)) return false;
  const next = webhooks.map((each) => ({ ...each, clientConfig: { ...each.clientConfig, caBundle } }));
  await api.update(configurations, { ...object, webhooks: next }, { signal });
  return true;
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
    name: subject,
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

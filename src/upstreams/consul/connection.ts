// Where Consul is and who we are to it: from the Settings, and where those say nothing from the environment that Consul's own tools read.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Spec } from "../../model/resource.ts";

export interface Connection {
  /** `http://127.0.0.1:8500/`, with `/` at its end. */
  readonly base: URL;
  /** A Unix socket to dial in place of the host of `base`. */
  readonly socketPath?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls?: {
    readonly ca?: readonly string[];
    readonly cert?: string;
    readonly key?: string;
    readonly servername?: string;
    readonly rejectUnauthorized: boolean;
  };
  /** The data centre to ask where a query names none. */
  readonly datacenter?: string;
}

type ConsulSettings = NonNullable<Spec<"Settings">["consul"]>;
type Environment = Readonly<Record<string, string | undefined>>;

/** Reads files; throws an Error that says which one could not be read. */
export function connectionOf(settings: ConsulSettings | undefined, environment: Environment = process.env): Connection {
  const written = settings?.httpAddress || settings?.address || environment.CONSUL_HTTP_ADDR || "127.0.0.1:8500";
  const tls = tlsOf(settings, environment);
  const socketPath = written.startsWith("unix://") ? written.slice("unix://".length) : undefined;
  const isTls = environment.CONSUL_HTTP_SSL === "true" || environment.CONSUL_HTTP_SSL === "1" || tls.isAskedFor;
  const address = socketPath === undefined ? written : "localhost";
  const base = urlOf(/^https?:\/\//.test(address) ? address : `${isTls ? "https" : "http"}://${address}`);
  const datacenter = settings?.datacenter || undefined;
  return {
    base,
    headers: credentials(settings, environment),
    ...(socketPath !== undefined && { socketPath }),
    ...(base.protocol === "https:" && { tls: tls.options }),
    ...(datacenter !== undefined && { datacenter }),
  };
}

function urlOf(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw new Error(`${JSON.stringify(text)} is no address; write host:port or a URL`);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

/** Every agent would log a token in a URL; so it travels in a header. */
function credentials(settings: ConsulSettings | undefined, environment: Environment): Record<string, string> {
  const file = environment.CONSUL_HTTP_TOKEN_FILE;
  const token = settings?.token || environment.CONSUL_HTTP_TOKEN || (file ? read(file, "the token").trim() : "");
  const basic = settings?.username ? `${settings.username}:${settings.password}` : environment.CONSUL_HTTP_AUTH;
  return {
    ...(token && { "x-consul-token": token }),
    ...(basic && { authorization: `Basic ${Buffer.from(basic).toString("base64")}` }),
  };
}

function tlsOf(settings: ConsulSettings | undefined, environment: Environment) {
  const caFile = settings?.caFile || environment.CONSUL_CACERT;
  const caPath = settings?.caPath || environment.CONSUL_CAPATH;
  const certFile = settings?.certFile || environment.CONSUL_CLIENT_CERT;
  const keyFile = settings?.keyFile || environment.CONSUL_CLIENT_KEY;
  const servername = environment.CONSUL_TLS_SERVER_NAME;
  const skipsVerification = settings?.insecureSkipVerify ?? environment.CONSUL_HTTP_SSL_VERIFY === "false";
  const ca = caFile ? [read(caFile, "caFile")] : caPath ? readdirSync(caPath).map((name) => read(join(caPath, name), "caPath")) : undefined;
  return {
    isAskedFor: ca !== undefined || certFile !== undefined,
    options: {
      ...(ca && { ca }),
      ...(certFile && { cert: read(certFile, "certFile") }),
      ...(keyFile && { key: read(keyFile, "keyFile") }),
      ...(servername && { servername }),
      rejectUnauthorized: !skipsVerification,
    },
  };
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new Error(`${what} ${path} could not be read: ${(cause as Error).message}`, { cause });
  }
}

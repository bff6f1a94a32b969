// Secrets for `headworks create secret`: their values come from files, from stdin or from the environment, and never from the command line,
// where every user of the machine, the shell's history and the logs of CI would have them.
import { readFileSync } from "node:fs";
import type { KubeObject } from "../lib/kubernetes/object.ts";
import type { Ref } from "../model/ref.ts";
import { CommandError } from "./exit.ts";

export interface SecretFlags {
  readonly certchain?: string;
  readonly privatekey?: string;
  readonly rootca?: string;
  readonly fromFile?: string;
  readonly fromEnv?: boolean;
}

export interface SecretKind {
  /** Of Kubernetes' Secret. */
  readonly type: string;
  /** What a file may say, and what it must; undefined: any names. */
  readonly keys?: { readonly needed: readonly string[]; readonly optional?: readonly string[] };
  /** Which variable of --from-env is which key. */
  readonly variables?: Readonly<Record<string, string>>;
  /** An example of the file. */
  readonly example: string;
}

/** As Gloo stores them in Kubernetes. */
export const secretKinds = {
  aws: {
    type: "Opaque",
    keys: { needed: ["aws_access_key_id", "aws_secret_access_key"], optional: ["aws_session_token"] },
    variables: {
      AWS_ACCESS_KEY_ID: "aws_access_key_id",
      AWS_SECRET_ACCESS_KEY: "aws_secret_access_key",
      AWS_SESSION_TOKEN: "aws_session_token",
    },
    example: "aws_access_key_id=…",
  },
  /** By the name of the function. */
  azure: { type: "Opaque", example: "_master=…" },
  header: { type: "gloo.solo.io/header", example: "x-token=…" },
  apikey: {
    type: "extauth.solo.io/apikey",
    keys: { needed: ["api-key"] },
    variables: { API_KEY: "api-key" },
    example: "api-key=…",
  },
  oauth: {
    type: "extauth.solo.io/oauth",
    keys: { needed: ["client-secret"] },
    variables: { CLIENT_SECRET: "client-secret" },
    example: "client-secret=…",
  },
  authcredentials: {
    type: "extauth.solo.io/accountcredentials",
    keys: { needed: ["username", "password"] },
    example: "username=…",
  },
  encryptionkey: {
    type: "gloo.solo.io.EncryptionKeySecret",
    keys: { needed: ["key"] },
    example: "key=…",
  },
} as const satisfies Record<string, SecretKind>;

export type SecretName = keyof typeof secretKinds | "tls";

export function refuseValue(option: string): never {
  throw new CommandError(
    `--${option} would show the secret to every user of this machine; write it into a file and name that with --from-file`,
    2,
    "--from-file - reads stdin. For AWS, --from-env takes AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN.",
  );
}

export function secretObject(kind: SecretName, ref: Ref, flags: SecretFlags): KubeObject {
  if (kind === "tls") return object(ref, "kubernetes.io/tls", tlsData(flags));
  const info: SecretKind = secretKinds[kind];
  const values = valuesOf(kind, info, flags);
  if (kind !== "azure") return object(ref, info.type, values);
  // Without keys of its own in Kubernetes, Gloo keeps it as YAML (and JSON is YAML).
  const made = object(ref, info.type, { azure: JSON.stringify({ apiKeys: values }) });
  return { ...made, metadata: { ...made.metadata, annotations: { resource_kind: "*v1.Secret" } } };
}

function object({ namespace, name }: Ref, type: string, values: Readonly<Record<string, string>>): KubeObject {
  const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString("base64")]));
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace }, type, data };
}

function tlsData({ certchain, privatekey, rootca }: SecretFlags): Record<string, string> {
  if (rootca === undefined && certchain === undefined && privatekey === undefined)
    throw new CommandError("--certchain and --privatekey name the files of a certificate and its key; --rootca that of an authority");
  if ((certchain === undefined) !== (privatekey === undefined))
    throw new CommandError(
      `--certchain and --privatekey go together; --${certchain === undefined ? "certchain" : "privatekey"} is missing`,
    );
  const read = (file: string | undefined) => (file === undefined ? "" : readInput(file));
  // Kubernetes wants both keys to be there.
  return { "tls.crt": read(certchain), "tls.key": read(privatekey), ...(rootca !== undefined && { "ca.crt": read(rootca) }) };
}

function valuesOf(kind: string, info: SecretKind, { fromFile, fromEnv }: SecretFlags): Record<string, string> {
  if (fromFile !== undefined && fromEnv) throw new CommandError("--from-file or --from-env, not both");
  if (fromFile === undefined && !fromEnv)
    throw new CommandError(
      `where is the secret? --from-file FILE (or - for stdin), with lines such as ${info.example}${info.variables ? ", or --from-env" : ""}`,
    );
  const values = fromFile === undefined ? fromEnvironment(kind, info) : parseLines(readInput(fromFile), fromFile);
  const { needed = [], optional = [] } = info.keys ?? {};
  const missing = needed.filter((key) => !values[key]);
  if (missing.length > 0) throw new CommandError(`a secret of kind ${kind} needs ${missing.join(" and ")}`);
  const unknown = info.keys === undefined ? [] : Object.keys(values).filter((key) => ![...needed, ...optional].includes(key));
  // An API key comes with whatever metadata somebody likes.
  if (unknown.length > 0 && kind !== "apikey")
    throw new CommandError(`a secret of kind ${kind} has no ${unknown.join(", ")}; it has ${[...needed, ...optional].join(", ")}`);
  if (Object.keys(values).length === 0) throw new CommandError(`there is nothing in ${fromFile}`);
  return values;
}

function fromEnvironment(kind: string, { variables }: SecretKind): Record<string, string> {
  if (variables === undefined) throw new CommandError(`--from-env is not for secrets of kind ${kind}; use --from-file`);
  return Object.fromEntries(
    Object.entries(variables).flatMap(([variable, key]) => {
      const value = process.env[variable];
      return value ? [[key, value]] : [];
    }),
  );
}

/** `key=value` or `key: value`, one a line; `#` begins a comment, `[default]` is a heading of AWS' own files. */
export function parseLines(text: string, file: string): Record<string, string> {
  const values: Record<string, string> = {};
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const trimmed = line.trim();
    if (trimmed === "" || trimmed.startsWith("#") || /^\[.*\]$/.test(trimmed)) continue;
    const [, key, value] = /^([^=:\s]+)\s*[=:]\s*(.*)$/.exec(trimmed) ?? [];
    // Without what stands there: it may be the secret.
    if (key === undefined) throw new CommandError(`${file}, line ${index + 1}, is not key=value`);
    values[key] = value ?? "";
  }
  return values;
}

function readInput(file: string): string {
  try {
    return readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    throw new CommandError(`${file === "-" ? "stdin" : file} cannot be read: ${(error as Error).message}`);
  }
}

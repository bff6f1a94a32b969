// The secrets that were published: certificates and validation contexts by name.

import { createSecureContext } from "node:tls";
import { fromBinary } from "@bufbuild/protobuf";
import { SecretSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Finding, Findings } from "./compile/findings.ts";
import { compileCertificate, compileValidation, type Material, type Validation } from "./compile/upstream-tls.ts";

export interface PublishedSecret {
  readonly certificate?: Material | undefined;
  readonly validation?: Validation | undefined;
}

/** Throws for what is no secret, or a certificate that node:tls does not take: then the one before stays. */
export function compileSecret({ bytes }: EnvoyResource): CompiledSecret {
  return compileSecretBytes(bytes);
}

export interface CompiledSecret {
  readonly name: string;
  readonly secret: PublishedSecret | undefined;
  readonly findings: readonly Finding[];
}

export function compileSecretBytes(bytes: Uint8Array): CompiledSecret {
  const { name, type } = fromBinary(SecretSchema, bytes);
  const findings = new Findings();
  let secret: PublishedSecret | undefined;
  if (type.case === "tlsCertificate") secret = { certificate: usable(compileCertificate(type.value)) };
  else if (type.case === "validationContext") secret = { validation: compileValidation(type.value, findings) };
  else if (type.case !== undefined) findings.notExecuted(type.case);
  return { name, secret, findings: findings.all };
}

function usable(material: Material | undefined): Material | undefined {
  if (material !== undefined) createSecureContext({ cert: material.certificate, key: material.key });
  return material;
}

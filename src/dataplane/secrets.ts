// The secrets that were published: certificates and validation contexts by name.

import { createSecureContext } from "node:tls";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type CertificateValidationContext,
  CertificateValidationContextSchema,
} from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/common_pb.js";
import { SecretSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Finding, Findings } from "./compile/findings.ts";
import { handledFields } from "./compile/handled.ts";
import { isFileOfTls } from "./compile/tls-sources.ts";
import { compileCertificate, compileValidation, type Material, type Validation } from "./compile/upstream-tls.ts";
import { unhandledFields } from "./fields.ts";

export interface PublishedSecret {
  readonly certificate?: Material | undefined;
  readonly validation?: Validation | undefined;
}

/** Throws for what is no secret, a certificate that node:tls does not take, or a test of certificates that is not made: then the one before stays. */
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
  else if (type.case === "validationContext") secret = { validation: compileValidation(executable(type.value), findings) };
  else if (type.case !== undefined) findings.notExecuted(type.case);
  return { name, secret, findings: findings.all };
}

/** Throws: without a test that it asks for, somebody would be believed whom it refuses. */
function executable(context: CertificateValidationContext): CertificateValidationContext {
  const unknown = unhandledFields(CertificateValidationContextSchema, context, handledFields).find((path) => !isFileOfTls(path));
  if (unknown !== undefined)
    throw new Error(`validation_context.${unknown} is not executed by the embedded data plane; run with --proxy envoy`);
  return context;
}

function usable(material: Material | undefined): Material | undefined {
  if (material !== undefined) createSecureContext({ cert: material.certificate, key: material.key });
  return material;
}

// Who is believed, when half of it stands in the configuration and half in a secret: `combined_validation_context`.

import type { Validation } from "./upstream-tls.ts";

/** As Envoy merges the two messages: what the secret says goes before, lists are added up, and neither takes away what the other asks for. */
export function mergeValidation(configured: Validation | undefined, secret: Validation | undefined): Validation | undefined {
  if (configured === undefined || secret === undefined) return secret ?? configured;
  return {
    ca: authorityOf([secret.ca, configured.ca]),
    subjectNames: [...configured.subjectNames, ...secret.subjectNames],
    acceptUntrusted: configured.acceptUntrusted || secret.acceptUntrusted,
  };
}

/** The authorities of the system are those of who names none. */
function authorityOf(named: readonly Validation["ca"][]): Validation["ca"] {
  return named.find((each) => each !== undefined && each !== "system") ?? named.find((each) => each !== undefined);
}

/** Why nobody can be believed; undefined: somebody can. Anybody writes any name into a certificate, so Envoy refuses names without an authority, too. */
export function faultOfValidation(validation: Validation | undefined): string | undefined {
  if (validation === undefined || validation.ca !== undefined || validation.subjectNames.length === 0) return undefined;
  return "names of certificates are asked for without an authority that vouches for them (trusted_ca)";
}

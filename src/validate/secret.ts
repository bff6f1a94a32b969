// A Secret judged by itself: a certificate that is none, or a key that is not its own, would cost everybody who uses it.
import { keyPairFault, rootCaFault } from "../lib/pem.ts";
import { type Problem, Report } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";

/** Says nothing of what is in it. A Secret with a root CA alone is one for clients. */
export function secretProblems(secret: Resource<"Secret">): readonly Problem[] {
  const report = new Report(secret.key);
  const kind = secret.spec?.kind;
  if (kind?.case !== "tls") return report.problems;
  const { certChain, privateKey, rootCa } = kind.value;
  const hasPair = certChain !== "" || privateKey !== "";
  const fault = (hasPair ? keyPairFault(certChain, privateKey) : undefined) ?? (rootCa === "" ? undefined : rootCaFault(rootCa));
  if (fault !== undefined)
    report.error("TlsSecretInvalid", `this is not a valid TLS secret: ${fault}`, {
      hint: "mend it; where there was a good version before, it stays in use",
    });
  return report.problems;
}

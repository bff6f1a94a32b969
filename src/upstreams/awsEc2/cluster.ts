// An awsEc2 Upstream → Envoy's cluster: EDS; the addresses are endpoints.ts's. Pure.
import { edsCluster } from "../../envoy/edsCluster.ts";
import { formatRef } from "../../model/ref.ts";
import { checkAwsRegion, checkAwsRole } from "../../plugin/awsAccount.ts";
import type { ClusterDraft, TypeContext, TypedUpstream } from "../../plugin/upstream-type.ts";

export function ec2Cluster({ name, spec }: TypedUpstream<"awsEc2">, { world, report }: TypeContext): ClusterDraft | undefined {
  checkAwsRegion(spec.region, "awsEc2.region", report);
  if (spec.port > 65_535) report.error("PortOutOfRange", `${spec.port} is not a port; ports end at 65535`, { path: "awsEc2.port" });
  checkAwsRole(spec.roleArn, "awsEc2.roleArn", report);
  for (const [i, { spec: filter }] of spec.filters.entries()) {
    const key = filter.case === "kvPair" ? filter.value.key : filter.value;
    if (!key)
      report.error("Ec2Filter", "the filter names no tag", {
        path: `awsEc2.filters[${i}]`,
        hint: "{key: name} or {kvPair: {key: name, value: text}}",
      });
  }
  if (spec.secretRef) {
    const secret = world.get("Secret", spec.secretRef)?.spec;
    if (secret === undefined) {
      report.warn("CloudSecretNotFound", `list did not find secret ${formatRef(spec.secretRef)}; instances are not looked up`, {
        path: "awsEc2.secretRef",
      });
    } else if (secret.kind.case !== "aws") {
      report.warn("CloudSecretOfOtherKind", `secret ${formatRef(spec.secretRef)} is not an AWS secret; instances are not looked up`, {
        path: "awsEc2.secretRef",
      });
    }
  }
  return report.hasErrors ? undefined : edsCluster(name);
}

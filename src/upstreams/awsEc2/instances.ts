// Instances of EC2, and which of them an Upstream means. Pure.
import { all, text, type XmlElement } from "../../lib/aws/xml.ts";
import type { Endpoint, SpecOf } from "../../plugin/upstream-type.ts";

export interface Instance {
  readonly id: string;
  readonly privateIp: string;
  readonly publicIp: string;
  /** Keys in lower case: AWS's own differ in case, filters are not meant to. */
  readonly tags: ReadonlyMap<string, string>;
}

/** The running ones of an answer to DescribeInstances. */
export function instancesOf(answer: XmlElement): Instance[] {
  return all(answer, "reservationSet", "item", "instancesSet", "item")
    .filter((each) => text(each, "instanceState", "name") === "running")
    .map((each) => ({
      id: text(each, "instanceId"),
      privateIp: text(each, "privateIpAddress"),
      publicIp: text(each, "ipAddress"),
      tags: new Map(all(each, "tagSet", "item").map((tag) => [text(tag, "key").toLowerCase(), text(tag, "value")])),
    }));
}

/** All filters must agree. An instance without an address of the wanted sort is no endpoint. */
export function endpointsOf(spec: SpecOf<"awsEc2">, instances: readonly Instance[]): Endpoint[] {
  const seen = new Set<string>();
  return instances.flatMap((instance) => {
    const address = spec.publicIp ? instance.publicIp : instance.privateIp;
    if (address === "" || seen.has(address) || !spec.filters.every((each) => agrees(each, instance))) return [];
    seen.add(address);
    return [{ address, port: spec.port || defaultPort, annotations: { instanceId: instance.id } }];
  });
}

const defaultPort = 80;

function agrees({ spec }: SpecOf<"awsEc2">["filters"][number], { tags }: Instance): boolean {
  if (spec.case === "key") return tags.has(spec.value.toLowerCase());
  return spec.case === "kvPair" && tags.get(spec.value.key.toLowerCase()) === spec.value.value;
}

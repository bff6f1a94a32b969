// Destinations as they are meant: an Upstream without namespace is in that of the resource which names it.
import { create } from "@bufbuild/protobuf";
import {
  type Destination,
  DestinationSchema,
  type WeightedDestination,
  WeightedDestinationSchema,
} from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { ResourceRefSchema } from "../gen/gloo/solo-kit/api/v1/ref_pb.js";
import type { Resource } from "./resource.ts";

export function destinationIn(destination: Destination, namespace: string): Destination {
  const type = destination.destinationType;
  if (type.case !== "upstream" || type.value.namespace !== "") return destination;
  return create(DestinationSchema, {
    ...destination,
    destinationType: { case: "upstream", value: create(ResourceRefSchema, { name: type.value.name, namespace }) },
  });
}

export function destinationsIn(destinations: readonly WeightedDestination[], namespace: string): WeightedDestination[] {
  return destinations.map((each) => {
    const destination = each.destination && destinationIn(each.destination, namespace);
    return destination === undefined || destination === each.destination
      ? each
      : create(WeightedDestinationSchema, { ...each, destination });
  });
}

export function destinationsOf({ ref, spec }: Resource<"UpstreamGroup">): WeightedDestination[] {
  return destinationsIn(spec?.destinations ?? [], ref.namespace);
}

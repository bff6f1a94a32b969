// The options that hold for a route, merged from wherever they are written, each with its place.
import { create, type DescField, type DescMessage, type Message, toJson } from "@bufbuild/protobuf";
import type { DryRun } from "../../dataplane/dry-run/dry-run.ts";
import { RouteOptionsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import { VirtualHostOptionsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import { WeightedDestinationOptionsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/weighted_destination_options_pb.js";
import type { Written as At, ModelRoute, ModelVirtualHost, OptionPlaces } from "../../model/virtual-host.ts";
import { optionAt } from "../../translate/findings.ts";
import { setFields } from "../../translate/options.ts";
import type { Where } from "./explain.ts";
import type { ExplainedOption } from "./explanation.ts";
import type { PlacedRoute } from "./routes.ts";

export function optionsOf(model: ModelVirtualHost, taken: PlacedRoute | undefined, run: DryRun, where: Where): readonly ExplainedOption[] {
  const route = taken?.origin?.route;
  const ofRoute = route ? placed(RouteOptionsSchema, route.route.options, "route", at(route, "options"), route.optionsAt, where) : [];
  const ofDestination = route ? destinationOptions(route, run, where) : [];
  const own = { resource: model.resource, path: "virtualHost.options" };
  const ofHost = placed(VirtualHostOptionsSchema, model.host.options, "virtualHost", own, model.optionsAt, where);
  const onRoute = new Set(ofRoute.map(({ field }) => field));
  return [
    ...ofDestination,
    ...ofRoute,
    ...ofHost.map((each) => (onRoute.has(each.field) ? { ...each, alsoOnRoute: true as const } : each)),
  ];
}

/** Of the destination that is followed, where a route has several. */
function destinationOptions(route: ModelRoute, { route: compiled }: DryRun, where: Where): readonly ExplainedOption[] {
  const { action } = route.route;
  if (action.case !== "routeAction" || action.value.destination.case !== "multi" || compiled?.action.kind !== "forward") return [];
  const { target } = compiled.action;
  if (target.kind !== "weighted") return [];
  const { destinations } = action.value.destination.value;
  // Where one could not be translated, positions say nothing.
  if (destinations.length !== target.choices.length) return [];
  const heaviest = target.choices.reduce((best, each, i) => (each.weight > (target.choices[best]?.weight ?? 0) ? i : best), 0);
  const place = at(route, `routeAction.multi.destinations[${heaviest}].options`);
  return placed(WeightedDestinationOptionsSchema, destinations[heaviest]?.options, "destination", place, new Map(), where);
}

function at(route: ModelRoute, field: string): At {
  return { resource: route.at.resource, path: `${route.at.path}.${field}` };
}

function placed(
  schema: DescMessage,
  options: Message | undefined,
  level: ExplainedOption["level"],
  own: At,
  places: OptionPlaces,
  where: Where,
): readonly ExplainedOption[] {
  if (options === undefined) return [];
  return setFields(schema, options).map((field) => {
    const { resource, path } = optionAt(own, places, field.jsonName);
    return { field: field.jsonName, level, value: jsonOf(schema, options, field), from: where(resource, path) };
  });
}

/** Undefined for what has no JSON here: an extension of a type that is not known. */
function jsonOf(schema: DescMessage, options: Message, field: DescField): unknown {
  const { localName } = field.oneof ?? field;
  const alone = create(schema, { [localName]: (options as unknown as Record<string, unknown>)[localName] } as never);
  try {
    return Object.values(toJson(schema, alone) as object)[0];
  } catch {
    return undefined;
  }
}

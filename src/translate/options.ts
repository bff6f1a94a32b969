// Which features act on a message of options, and which of its fields nobody acts on.
import { type DescField, type DescMessage, isFieldSet, type Message } from "@bufbuild/protobuf";
import type { Feature, OptionFields } from "../plugin/feature.ts";

export interface OptionUse {
  /** The features to ask, in the order of the list. */
  readonly features: readonly Feature[];
  /** Names of fields that are set and that no feature names. */
  readonly unsupported: readonly string[];
}

/** Who acts on these options. The features that act always are among them. */
export function useOf(
  schema: DescMessage,
  level: keyof OptionFields,
  options: Message | undefined,
  features: readonly Feature[],
): OptionUse {
  const { byField, always, used } = plan(features, level);
  if (options === undefined) return { features: always, unsupported: [] };
  const fields = setFields(schema, options);
  // Thousands of routes have the same few options.
  const key = fields.map((field) => field.localName).join();
  let use = used.get(key);
  if (use === undefined) {
    const wanted = new Set(always);
    for (const { localName } of fields) for (const feature of byField.get(localName) ?? []) wanted.add(feature);
    const unsupported = fields.filter(({ localName }) => !byField.has(localName)).map((field) => field.jsonName);
    use = { features: features.filter((each) => wanted.has(each)), unsupported };
    used.set(key, use);
  }
  return use;
}

/** The fields that are written, in the order of the descriptor. */
export function setFields(schema: DescMessage, message: Message): DescField[] {
  // This runs for every route, and nearly all fields are not there at all: what is there is asked, not all that could be.
  const fields: DescField[] = [];
  const named = membersOf(schema);
  for (const name of Object.keys(message)) {
    const value = (message as unknown as Record<string, unknown>)[name];
    // Lists are always there.
    if (Array.isArray(value) && value.length === 0) continue;
    const member = named.get(name);
    if (member === undefined) continue;
    if (member.kind === "oneof") {
      const set = member.fields.find((field) => isFieldSet(message as never, field as never));
      if (set) fields.push(set);
    } else if (isFieldSet(message as never, member as never)) fields.push(member);
  }
  return fields.length < 2 ? fields : schema.fields.filter((each) => fields.includes(each));
}

type Member = DescMessage["members"][number];

const members = new WeakMap<DescMessage, ReadonlyMap<string, Member>>();

function membersOf(schema: DescMessage): ReadonlyMap<string, Member> {
  let known = members.get(schema);
  if (known === undefined) {
    known = new Map(schema.members.map((member) => [member.localName, member]));
    members.set(schema, known);
  }
  return known;
}

/** What is said of a field that no feature names, and what its user can do instead. */
export function withoutEffect(field: string): { readonly message: string; readonly details: { readonly hint?: string } } {
  const hint = Object.hasOwn(alternatives, field) ? alternatives[field] : undefined;
  return { message: `${field} is not supported by this version and has no effect`, details: hint ? { hint } : {} };
}

const alternatives: Readonly<Record<string, string>> = {
  dlp: "change responses with stagedTransformations (responseTransforms), and name in the access log only what may be read",
  ai: "set headers of requests with headerManipulation, and change their bodies with stagedTransformations",
  extensions: "remove it: what it configured is not part of this program",
};

interface Plan {
  readonly byField: ReadonlyMap<string, readonly Feature[]>;
  readonly always: readonly Feature[];
  /** By the names of the fields that are set. */
  readonly used: Map<string, OptionUse>;
}

const plans = new WeakMap<readonly Feature[], Map<keyof OptionFields, Plan>>();

/** Made once for a list of features. */
function plan(features: readonly Feature[], level: keyof OptionFields): Plan {
  const levels = plans.get(features) ?? new Map<keyof OptionFields, Plan>();
  plans.set(features, levels);
  const found = levels.get(level) ?? makePlan(features, level);
  levels.set(level, found);
  return found;
}

function makePlan(features: readonly Feature[], level: keyof OptionFields): Plan {
  const byField = new Map<string, Feature[]>();
  for (const feature of features)
    for (const name of feature.fields?.[level] ?? []) byField.set(name, [...(byField.get(name) ?? []), feature]);
  return { byField, always: features.filter((each) => each.always), used: new Map() };
}

// Go's way of printing messages, as it stands in Gloo's statuses and in the scripts that read them.
import type { Ref } from "../model/ref.ts";

/** `name:"cart" namespace:"shop"`. */
export function goRef({ name, namespace }: Partial<Ref>): string {
  return [name && `name:${JSON.stringify(name)}`, namespace && `namespace:${JSON.stringify(namespace)}`].filter(Boolean).join(" ");
}

/** A list: `[name:"x-a" value:"1"]`. */
export function goList(messages: readonly Readonly<Record<string, unknown>>[]): string {
  return `[${messages.map(goFields).join(" ")}]`;
}

function goFields(message: Readonly<Record<string, unknown>>): string {
  return Object.entries(message)
    .filter(([key, value]) => !key.startsWith("$") && value !== "" && value !== false && value !== undefined)
    .map(
      ([key, value]) =>
        `${key.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)}:${typeof value === "string" ? JSON.stringify(value) : value}`,
    )
    .join(" ");
}

/** An optional bool: `<nil>`, or `value:true`. */
export function goBool(value: boolean | undefined): string {
  return value === undefined ? "<nil>" : value ? "value:true" : "";
}

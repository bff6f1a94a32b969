// Headers that the API adds to requests: written out, or all that a secret holds. And what Gloo and Envoy refuse of them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import { headerValueFault } from "../envoy/header-format.ts";
import { HeaderValueOption_HeaderAppendAction as Append, type HeaderValueOptionSchema } from "../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { HeaderValueOption } from "../gen/gloo/solo-kit/api/external/envoy/api/v2/core/base_pb.js";
import { formatRef } from "../model/ref.ts";
import type { OptionContext } from "./feature.ts";

export type HeaderInit = MessageInitShape<typeof HeaderValueOptionSchema>;

/** The headers of one entry of a list; none where it is refused. */
export function addedHeaders(
  { headerOption, append }: HeaderValueOption,
  field: string,
  { world, refuse }: Pick<OptionContext, "world" | "refuse">,
): HeaderInit[] {
  switch (headerOption.case) {
    case "header": {
      const { key, value } = headerOption.value;
      if (isProtected(key)) {
        refuse(`${field}.header.key`, protectedText(key));
        return [];
      }
      return addedHeader(key, value, append, `${field}.header`, refuse);
    }
    case "headerSecretRef": {
      const secret = world.get("Secret", headerOption.value);
      const kind = secret?.spec?.kind;
      if (secret === undefined) {
        const message = `list did not find secret ${formatRef(headerOption.value)}`;
        refuse(`${field}.headerSecretRef`, message, { reason: "SecretNotFound", elsewhere: true });
        return [];
      }
      if (kind?.case !== "header") {
        refuse(`${field}.headerSecretRef`, `Secret ${formatRef(headerOption.value)} was not a Header secret`, { elsewhere: true });
        return [];
      }
      return Object.entries(kind.value.headers)
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([key, value]) => {
          const at = `${field}.headerSecretRef`;
          if (!isProtected(key)) return addedHeader(key, value, append, at, refuse);
          refuse(at, protectedText(key), { elsewhere: true });
          return [];
        });
    }
    default:
      refuse(field, "header manipulation needs header or headerSecretRef");
      return [];
  }
}

export function addedHeader(
  key: string,
  value: string,
  append: boolean | undefined,
  field: string,
  refuse: OptionContext["refuse"],
): HeaderInit[] {
  if (!isHeaderName(key)) {
    refuse(`${field}.key`, `'${key}' is an invalid HTTP header key`);
    return [];
  }
  const fault = headerValueFault(value);
  if (fault) {
    refuse(`${field}.value`, fault.message, { reason: "RouteRefusedByEnvoy", costs: "route", hint: fault.hint });
    return [];
  }
  const appendAction = append === false ? Append.OVERWRITE_IF_EXISTS_OR_ADD : Append.APPEND_IF_EXISTS_OR_ADD;
  return [{ header: { key, value }, appendAction }];
}

export const isHeaderName = (name: string): boolean => /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name);
export const isHost = (name: string): boolean => name.toLowerCase() === "host";
export const isProtected = (name: string): boolean => name.startsWith(":") || isHost(name);
export const protectedText = (name: string): string => `: -prefixed or host headers may not be modified. Received '${name}' header`;

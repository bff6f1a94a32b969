// Tags that a configuration adds to spans, each from one thing that is known of a request.

import type { JsonValue } from "@bufbuild/protobuf";
import type { CustomTag as Message, CustomTag_Metadata as MetadataTag } from "../../gen/envoy/envoy/type/tracing/v3/custom_tag_pb.js";
import type { Exchange } from "../exchange/exchange.ts";
import { compileFormat, firstValue, type MetadataView } from "../formatter.ts";
import { wireText } from "../text.ts";
import type { Findings } from "./findings.ts";

export interface CustomTag {
  readonly name: string;
  /** Undefined: the span has no such tag. */
  readonly value: (exchange: Exchange) => string | undefined;
}

export function compileCustomTags(tags: readonly Message[], findings: Findings): CustomTag[] {
  return tags.flatMap((each, index) => {
    const value = compileValue(each, findings.at(`custom_tags[${index}]`));
    return value === undefined ? [] : [{ name: wireText(each.tag), value }];
  });
}

function compileValue({ type }: Message, findings: Findings): CustomTag["value"] | undefined {
  switch (type.case) {
    case "literal": {
      const value = wireText(type.value.value);
      return () => value;
    }
    case "environment": {
      // Of this process: when the configuration comes, as Envoy.
      const value = wireText(process.env[type.value.name] || type.value.defaultValue);
      return value === "" ? undefined : () => value;
    }
    case "requestHeader": {
      const name = type.value.name.toLowerCase();
      const absent = wireText(type.value.defaultValue);
      return (exchange) => firstValue(exchange, name) ?? (absent === "" ? undefined : absent);
    }
    case "metadata":
      return compileMetadata(type.value, findings);
    case "value": {
      const format = compileFormat(type.value, "", (operator) => findings.operator("value", operator));
      return (exchange) => format(exchange) || undefined;
    }
    default:
      findings.notExecuted("type");
      return undefined;
  }
}

function compileMetadata({ kind, metadataKey, defaultValue }: MetadataTag, findings: Findings): CustomTag["value"] | undefined {
  const source = sources[kind?.kind.case ?? "request"];
  if (source === undefined) {
    findings.notExecuted(`metadata.kind.${kind?.kind.case}`);
    return undefined;
  }
  const path = (metadataKey?.path ?? []).map(({ segment }) => segment.value ?? "");
  const absent = defaultValue === "" ? undefined : wireText(defaultValue);
  return (exchange) => {
    let value: JsonValue | undefined = source(exchange)?.[metadataKey?.key ?? ""] as JsonValue | undefined;
    for (const step of path) value = typeof value === "object" && value !== null && !Array.isArray(value) ? value[step] : undefined;
    if (value === undefined || value === null) return absent;
    return wireText(typeof value === "string" ? value : JSON.stringify(value));
  };
}

const sources: Readonly<Record<string, (exchange: Exchange) => MetadataView | undefined>> = {
  request: ({ dynamicMetadata }) => dynamicMetadata,
  route: ({ routeMetadata }) => routeMetadata,
  host: ({ pickedHost }) => {
    const { lbMetadata, transportMatch } = pickedHost?.spec ?? {};
    return { "envoy.lb": lbMetadata ?? {}, "envoy.transport_socket_match": transportMatch ?? {} } as MetadataView;
  },
};

// `request_headers_to_add`, `..._to_remove` and their response twins, compiled.

import type { HeaderValueOption } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import { HeaderValueOption_HeaderAppendAction as Action } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import { compileFormat, type FormatContext, type Formatter } from "../formatter.ts";
import { type Headers, hasHeader, removeHeader, setHeader } from "../http1/headers.ts";
import { breaksLines } from "../text.ts";
import type { Findings } from "./findings.ts";

interface Addition {
  readonly name: string;
  readonly value: Formatter;
  readonly action: Action;
  readonly keepEmpty: boolean;
}

export interface HeaderMutations {
  readonly remove: readonly string[];
  readonly add: readonly Addition[];
}

const framing = new Set(["content-length", "transfer-encoding"]);

/** Undefined when there is nothing to do. */
export function compileHeaderMutations(
  add: readonly HeaderValueOption[],
  remove: readonly string[],
  findings: Findings,
  field: string,
): HeaderMutations | undefined {
  if (add.length === 0 && remove.length === 0) return undefined;
  const additions: Addition[] = [];
  add.forEach((option, index) => {
    const header = option.header;
    if (header === undefined) return;
    const path = `${field}[${index}]`;
    const text = header.value !== "" ? header.value : Buffer.from(header.rawValue).toString("utf8");
    if (breaksLines(text) || breaksLines(header.key)) {
      findings.refused(path, `the value of header ${JSON.stringify(header.key)} holds a control character`);
      return;
    }
    const name = header.key.toLowerCase();
    if (framing.has(name)) {
      findings.refused(path, `${name} says where a message ends and is not set by configuration`);
      return;
    }
    additions.push({
      name,
      value: compileFormat(text, "", (operator) => findings.operator(path, operator)),
      action:
        option.append === undefined
          ? option.appendAction
          : option.append
            ? Action.APPEND_IF_EXISTS_OR_ADD
            : Action.OVERWRITE_IF_EXISTS_OR_ADD,
      keepEmpty: option.keepEmptyValue,
    });
  });
  return { remove: remove.map((name) => name.toLowerCase()), add: additions };
}

/** What a mutation may also set besides headers: pseudo headers of a request. */
export interface PseudoHeaders {
  setPseudo(name: string, value: string): void;
}

/**
 * Removes first; then looks at what is there and computes all values, then overwrites, then appends: Envoy's order within one level, so that two
 * options on one header do not see each other's work.
 */
export function mutateHeaders(headers: Headers, mutations: HeaderMutations, context: FormatContext, pseudo?: PseudoHeaders): void {
  for (const name of mutations.remove) removeHeader(headers, name);
  if (mutations.add.length === 0) return;
  const overwritten: Headers = [];
  const appended: Headers = [];
  for (const addition of mutations.add) {
    const value = addition.value(context);
    if (value === "" && !addition.keepEmpty) continue;
    const { name } = addition;
    if (name.charCodeAt(0) === 0x3a || name === "host") {
      if (addition.action !== Action.ADD_IF_ABSENT) pseudo?.setPseudo(name, value);
      continue;
    }
    switch (addition.action) {
      case Action.ADD_IF_ABSENT:
        if (!hasHeader(headers, name)) appended.push(name, value);
        break;
      case Action.OVERWRITE_IF_EXISTS_OR_ADD:
        overwritten.push(name, value);
        break;
      case Action.OVERWRITE_IF_EXISTS:
        if (hasHeader(headers, name)) overwritten.push(name, value);
        break;
      default:
        appended.push(name, value);
    }
  }
  for (let i = 0; i < overwritten.length; i += 2) setHeader(headers, overwritten[i] as string, overwritten[i + 1] as string);
  for (const each of appended) headers.push(each);
}

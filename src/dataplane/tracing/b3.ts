// B3: the context of a trace in one header, or in several (github.com/openzipkin/b3-propagation).

import { type Headers, hasHeader, headerValues, setHeader } from "../http1/headers.ts";
import type { SpanContext } from "./span.ts";

export interface B3Context {
  readonly traceId: string;
  readonly id: string;
  readonly parentId: string;
}

/** Undefined: there is none. */
export function readB3(headers: Headers): B3Context | "unreadable" | undefined {
  const [single] = headerValues(headers, "b3");
  if (single !== undefined) return readSingle(single);
  const first = (name: string) => headerValues(headers, name)[0];
  const [traceId, id, parentId = ""] = [first("x-b3-traceid"), first("x-b3-spanid"), first("x-b3-parentspanid")];
  return traceId === undefined || id === undefined ? undefined : contextOf(traceId, id, parentId);
}

function readSingle(text: string): B3Context | "unreadable" | undefined {
  if (/^[01d]$/.test(text)) return undefined;
  const found = /^([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-[01d](?:-([0-9a-f]{16}))?)?$/i.exec(text);
  return found === null ? "unreadable" : contextOf(found[1] as string, found[2] as string, found[3] ?? "");
}

function contextOf(trace: string, span: string, parent: string): B3Context | "unreadable" {
  const traceId = trace.length === 32 ? idOf(trace.slice(0, 16), trace.slice(16)) : idOf(trace);
  const id = idOf(span);
  const parentId = parent === "" ? "" : idOf(parent);
  if (traceId === undefined || id === undefined || parentId === undefined) return "unreadable";
  return { traceId: traceId.replace(/^0{16}(?=.{16}$)/, ""), id, parentId: /^0*$/.test(parentId) ? "" : parentId };
}

/** Numbers of 64 bits, which may be written without leading zeros. */
function idOf(...numbers: readonly string[]): string | undefined {
  if (!numbers.every((each) => /^[0-9a-f]{1,16}$/i.test(each))) return undefined;
  return numbers.map((each) => each.toLowerCase().padStart(16, "0")).join("");
}

/** Where the flag is, by the length of the header. */
const flagAt: Readonly<Record<number, number>> = { 1: 0, 35: 34, 51: 50, 52: 34, 68: 50 };

/** Undefined: it does not say. */
export function wantedByB3(headers: Headers): boolean | undefined {
  const [single] = headerValues(headers, "b3");
  if (single !== undefined) {
    const flag = single[flagAt[single.length] ?? -1] ?? "";
    return flag === "0" ? false : flag === "1" || flag === "d" ? true : undefined;
  }
  const [sampled] = headerValues(headers, "x-b3-sampled");
  return sampled === undefined ? undefined : sampled === "1" || sampled === "true";
}

/** The way the client has written it; otherwise in several headers. */
export function writeB3({ traceId, id, parentId, isSampled }: SpanContext, headers: Headers): void {
  const sampled = isSampled ? "1" : "0";
  if (hasHeader(headers, "b3")) {
    setHeader(headers, "b3", `${traceId}-${id}-${sampled}${parentId === "" ? "" : `-${parentId}`}`);
    return;
  }
  setHeader(headers, "x-b3-traceid", traceId);
  setHeader(headers, "x-b3-spanid", id);
  if (parentId !== "") setHeader(headers, "x-b3-parentspanid", parentId);
  setHeader(headers, "x-b3-sampled", sampled);
}

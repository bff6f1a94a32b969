// Header lines of a head, for requests and responses alike: one line at a time into the same object, since a head has a dozen of them and a busy
// proxy reads a hundred thousand heads a second.

import type { Headers } from "./headers.ts";
import { type HeaderName, headerName } from "./names.ts";

// Anywhere in a head: CR without LF, LF without CR, and other control characters than TAB.
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
const forbidden = /\r(?!\n)|(?<!\r)\n|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/;

export function hasForbiddenCharacter(text: string): boolean {
  return forbidden.test(text);
}

export class HeaderLine {
  name = "";
  /** See {@link file://./names.ts}. */
  code: HeaderName["code"] = 0;
  value = "";
  /** Where the next line begins. */
  next = 0;
  /** Set by {@link read} when it returns false. */
  fault = "";

  /** Reads the line at `at`; false when it is none. */
  read(text: string, at: number): boolean {
    const end = text.indexOf("\r\n", at);
    const colon = text.indexOf(":", at);
    if (colon < 0 || colon > end) {
      this.fault = "header without colon";
      return false;
    }
    const entry = headerName(text.slice(at, colon));
    if (entry === undefined) {
      this.fault = "header name";
      return false;
    }
    let from = colon + 1;
    let to = end;
    while (from < to && isBlank(text.charCodeAt(from))) from++;
    while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
    this.name = entry.name;
    this.code = entry.code;
    this.value = text.slice(from, to);
    this.next = end + 2;
    return true;
  }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

const digits = /^\d{1,16}$/;

/** -1 for what is no length. */
export function parseContentLength(value: string): number {
  if (!digits.test(value)) return -1;
  const length = Number(value);
  return Number.isSafeInteger(length) ? length : -1;
}

/** The options of a Connection header, in lower case. */
export function connectionOptions(connection: string): string[] {
  return connection
    .split(",")
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== "");
}

export function joinConnection(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before},${value}`;
}

/** What Connection nominates is for this hop only. */
export function removeNominated(headers: Headers, option: string): void {
  for (let i = 0; i < headers.length; ) {
    if (headers[i] === option) headers.splice(i, 2);
    else i += 2;
  }
}

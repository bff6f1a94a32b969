// What the heads of all responses have in common, whoever answers.

import { STATUS_CODES } from "../../lib/node-http.ts";
import type { Headers } from "../http1/headers.ts";
import type { Exchange } from "./exchange.ts";

/** Status line and header lines, without the empty one. */
export function headText(status: number, headers: Headers): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return text;
}

/** Decides whether the connection ends after the response, and says so. */
export function connectionHeader(exchange: Exchange): string {
  if (exchange.connection.closesAfter(exchange.closesAfter)) {
    exchange.closesAfter = true;
    return "connection: close\r\n";
  }
  return exchange.minor === 0 ? "connection: keep-alive\r\n" : "";
}

// The head of a request, as HTTP/1.1 writes it.

import type { OutgoingRequest } from "../upstream/stream.ts";

const withoutContent = new Set(["GET", "HEAD", "DELETE"]);

export function requestText(request: OutgoingRequest): string {
  const { headers, upgrade } = request;
  let text = `${request.method} ${request.path} HTTP/1.1\r\nhost: ${request.authority}\r\n`;
  for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  if (upgrade !== undefined) text += `connection: upgrade\r\nupgrade: ${upgrade}\r\n`;
  return `${text}${framing(request)}\r\n`;
}

function framing({ method, contentLength, isChunked, upgrade }: OutgoingRequest): string {
  if (isChunked) return "transfer-encoding: chunked\r\n";
  if (contentLength >= 0) return `content-length: ${contentLength}\r\n`;
  // RFC 9110 §8.6: a method that may be meant to have content says that it has none.
  return upgrade === undefined && !withoutContent.has(method) ? "content-length: 0\r\n" : "";
}

// IP addresses, as text.
import { isIP } from "node:net";

/** True for an IPv4 or IPv6 address without a zone: what can be dialled without asking DNS. */
export function isIpAddress(text: string): boolean {
  return isIP(text) !== 0 && !text.includes("%");
}

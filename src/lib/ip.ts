// IP addresses, as text.
import { isIP } from "node:net";

/** True for an IPv4 or IPv6 address without a zone: what can be dialled without asking DNS. */
export function isIpAddress(text: string): boolean {
  // Nearly all that is asked is a host name, and the general test is a regular expression of a kilobyte.
  return mayBeAddress.test(text) && ipVersion(text) !== 0 && !text.includes("%");
}

/** 4, 6, or 0 for what is no address; an IPv6 address may name its zone. */
export function ipVersion(text: string): 0 | 4 | 6 {
  // What nearly all Gateways bind to. Node makes its test of IPv6 when it is first asked, which takes four milliseconds.
  return text === "::" ? 6 : (isIP(text) as 0 | 4 | 6);
}

/** Digits and dots alone, or a colon somewhere. */
const mayBeAddress = /^[\d.]+$|:/;

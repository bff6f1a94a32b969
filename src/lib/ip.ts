// IP addresses, as text.
import { isIP } from "node:net";

/** True for an IPv4 or IPv6 address without a zone: what can be dialled without asking DNS. */
export function isIpAddress(text: string): boolean {
  // Nearly all that is asked is a host name, and the general test is a regular expression of a kilobyte.
  return mayBeAddress.test(text) && isIP(text) !== 0 && !text.includes("%");
}

/** Digits and dots alone, or a colon somewhere. */
const mayBeAddress = /^[\d.]+$|:/;

// Claims of a good token that go on as headers of the request, as Envoy takes them.
import type { Message, MessageInitShape } from "@bufbuild/protobuf";
import type { JwtClaimToHeaderSchema } from "../gen/envoy/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import type { OptionContext } from "./feature.ts";

export type ClaimHeader = Exclude<MessageInitShape<typeof JwtClaimToHeaderSchema>, Message>;

interface ClaimToHeader {
  readonly claim: string;
  readonly header: string;
  readonly append: boolean;
}

/** Undefined after a refusal. */
export function claimHeaders(
  claims: readonly ClaimToHeader[],
  field: string,
  { refuse, warn }: Pick<OptionContext, "refuse" | "warn">,
): ClaimHeader[] | undefined {
  let isUsable = true;
  for (const [i, { claim, header, append }] of claims.entries()) {
    const at = `${field}[${i}]`;
    if (claim === "" || !isHeaderName(header) || header.toLowerCase() === "host") {
      isUsable = false;
      const which = claim === "" ? "claim" : "header";
      const message = claim === "" ? "the claim has no name" : `${JSON.stringify(header)} is no name of a header that may be set`;
      refuse(`${at}.${which}`, message, { hint: "claimsToHeaders: [{claim: sub, header: x-user}]" });
    }
    if (append)
      warn(`${at}.append`, "the claim replaces the header: what clients send in it is never passed on", {
        reason: "OptionNotSupported",
        hint: "remove append",
      });
  }
  if (!isUsable) return undefined;
  return claims.map(({ claim, header }) => ({
    headerName: header,
    // In a plain name dots divide: those of namespaced claims do not.
    ...(claim.includes(".") ? { claimPath: [{ key: claim }] } : { claimName: claim }),
  }));
}

export function isHeaderName(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

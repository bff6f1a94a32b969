// Envoy's numbers of what is wrong with a token, as they are told in dynamic metadata.

/** In the order of Envoy's list, without what cannot come of a request. The first is 1. */
const texts: readonly string[] = [
  "Jwt is missing",
  "Jwt not yet valid",
  "Jwt is expired",
  "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
  "Jwt header is an invalid Base64url encoded",
  "Jwt header is an invalid JSON",
  "Jwt header [alg] field is required and must be a string",
  "Jwt header [alg] is not supported",
  "Jwt header [kid] field is not a string",
  "Jwt payload is an invalid Base64url encoded",
  "Jwt payload is an invalid JSON",
  "Jwt payload [iss] field is not a string",
  "Jwt payload [sub] field is not a string",
  "Jwt payload [iat] field is not an integer",
  "Jwt payload [iat] field is not a positive 64 bit integer",
  "Jwt payload [nbf] field is not an integer",
  "Jwt payload [nbf] field is not a positive 64 bit integer",
  "Jwt payload [exp] field is not an integer",
  "Jwt payload [exp] field is not a positive 64 bit integer",
  "Jwt payload [jti] field is not a string",
  "Jwt payload [aud] field is not a string or string list",
  "Jwt signature is an invalid Base64url encoded",
];

const later: Readonly<Record<string, number>> = {
  "Jwt issuer is not configured": 24,
  "Audiences in Jwt are not allowed": 25,
  "Jwt verification fails": 26,
  "Jwks doesn't have key to match kid or alg from Jwt": 32,
  "Jwks remote fetch is failed": 40,
};

const verificationFails = 26;

export function faultCode(text: string): number {
  const at = texts.indexOf(text);
  return at >= 0 ? at + 1 : (later[text] ?? verificationFails);
}

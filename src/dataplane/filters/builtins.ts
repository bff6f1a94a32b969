// The HTTP filters that the embedded data plane executes, and those that it must not leave out in silence. The router is what it is itself.

import { apiKeyAuth, replacesKeys } from "./apiKeyAuth.ts";
import { buffer } from "./buffer.ts";
import { compressor } from "./compressor.ts";
import { cors } from "./cors.ts";
import { csrf } from "./csrf.ts";
import { extAuthz } from "./extAuthz.ts";
import { extProc } from "./extProc.ts";
import { fault } from "./fault.ts";
import { filterChain } from "./filterChain.ts";
import { grpcWeb } from "./grpcWeb.ts";
import { guarding, neverExecuted } from "./guard.ts";
import { healthCheck } from "./healthCheck.ts";
import type { AnyHttpFilter } from "./http-filter.ts";
import { jwt } from "./jwt.ts";
import { localRateLimit } from "./localRateLimit.ts";
import { rateLimit } from "./rateLimit.ts";
import { rbac } from "./rbac.ts";
import { setFilterState } from "./setFilterState.ts";
import { setMetadata } from "./setMetadata.ts";
import { transcoder } from "./transcoder.ts";
import { transformation } from "./transformation.ts";

const http = "envoy.extensions.filters.http";

export const httpFilters: readonly AnyHttpFilter[] = [
  guarding(apiKeyAuth, { replaces: replacesKeys }),
  buffer,
  compressor,
  cors,
  guarding(csrf, { replaces: () => true }),
  guarding(extAuthz, { replaces: ({ isDisabled }) => isDisabled }),
  guarding(extProc, { replaces: ({ isDisabled }) => isDisabled }),
  fault,
  guarding(
    filterChain(() => httpFilters),
    { replaces: () => false },
  ),
  grpcWeb,
  healthCheck,
  guarding(jwt, { replaces: ({ isDisabled }) => isDisabled }),
  localRateLimit,
  rateLimit,
  guarding(rbac, { replaces: () => true }),
  setFilterState,
  setMetadata,
  transcoder,
  transformation,
  neverExecuted(`${http}.basic_auth.v3.BasicAuth`, `${http}.basic_auth.v3.BasicAuthPerRoute`),
  neverExecuted(`${http}.oauth2.v3.OAuth2`, `${http}.oauth2.v3.OAuth2PerRoute`),
];

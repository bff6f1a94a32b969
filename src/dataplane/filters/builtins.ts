// The HTTP filters that the embedded data plane executes. The router is what it is itself.

import { buffer } from "./buffer.ts";
import { compressor } from "./compressor.ts";
import { cors } from "./cors.ts";
import { csrf } from "./csrf.ts";
import { extAuthz } from "./extAuthz.ts";
import { fault } from "./fault.ts";
import { grpcWeb } from "./grpcWeb.ts";
import { healthCheck } from "./healthCheck.ts";
import type { AnyHttpFilter } from "./http-filter.ts";
import { jwt } from "./jwt.ts";
import { localRateLimit } from "./localRateLimit.ts";
import { rateLimit } from "./rateLimit.ts";
import { transformation } from "./transformation.ts";

export const httpFilters: readonly AnyHttpFilter[] = [
  buffer,
  compressor,
  cors,
  csrf,
  extAuthz,
  fault,
  grpcWeb,
  healthCheck,
  jwt,
  localRateLimit,
  rateLimit,
  transformation,
];

// Response flags, as the access log service names them.

import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  ResponseFlags_Unauthorized_Reason as Reason,
  type ResponseFlagsSchema,
} from "../../gen/envoy/envoy/data/accesslog/v3/accesslog_pb.js";

type Flags = MessageInitShape<typeof ResponseFlagsSchema>;

const fields: Readonly<Record<string, Flags>> = {
  LH: { failedLocalHealthcheck: true },
  UH: { noHealthyUpstream: true },
  UT: { upstreamRequestTimeout: true },
  LR: { localReset: true },
  UR: { upstreamRemoteReset: true },
  UF: { upstreamConnectionFailure: true },
  UC: { upstreamConnectionTermination: true },
  UO: { upstreamOverflow: true },
  NR: { noRouteFound: true },
  DI: { delayInjected: true },
  FI: { faultInjected: true },
  RL: { rateLimited: true },
  UAEX: { unauthorizedDetails: { reason: Reason.EXTERNAL_SERVICE } },
  RLSE: { rateLimitServiceError: true },
  DC: { downstreamConnectionTermination: true },
  URX: { upstreamRetryLimitExceeded: true },
  SI: { streamIdleTimeout: true },
  IH: { invalidEnvoyRequestHeaders: true },
  DPE: { downstreamProtocolError: true },
  UMSDR: { upstreamMaxStreamDurationReached: true },
  RFCF: { responseFromCacheFilter: true },
  NFCF: { noFilterConfigFound: true },
  DT: { durationTimeout: true },
  UPE: { upstreamProtocolError: true },
  NC: { noClusterFound: true },
  OM: { overloadManager: true },
  DF: { dnsResolutionFailure: true },
  DR: { downstreamRemoteReset: true },
};

/** @param flags `UF,URX`; undefined where there are none */
export function flagFields(flags: string): Flags | undefined {
  if (flags === "") return undefined;
  return Object.assign({}, ...flags.split(",").map((each) => fields[each])) as Flags;
}

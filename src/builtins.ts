// What is built in, and the order in which features take their turn. The compiler proves the list of types whole.

import { accessLogs } from "./features/accessLogs.ts";
import { corsFilter, faultFilter, grpcWeb, router } from "./features/alwaysOnFilters.ts";
import { attemptCounts } from "./features/attemptCounts.ts";
import { buffer } from "./features/buffer.ts";
import { circuitBreakers } from "./features/circuitBreakers.ts";
import { connectionConfig } from "./features/connectionConfig.ts";
import { connectionLimit } from "./features/connectionLimit.ts";
import { cors } from "./features/cors.ts";
import { csrf } from "./features/csrf.ts";
import { dns } from "./features/dns.ts";
import { downstreamProxyProtocol } from "./features/downstreamProxyProtocol.ts";
import { dynamicForwardProxy } from "./features/dynamicForwardProxy.ts";
import { enterprise } from "./features/enterprise.ts";
import { envoyMetadata } from "./features/envoyMetadata.ts";
import { extauth } from "./features/extauth/extauth.ts";
import { extProc, extProcEarly, extProcLate } from "./features/extProc.ts";
import { failover, failoverTls } from "./features/failover/failover.ts";
import { faults } from "./features/faults.ts";
import { grpcFunctions } from "./features/grpcFunctions.ts";
import { grpcJsonTranscoder } from "./features/grpcJsonTranscoder.ts";
import { gzip } from "./features/gzip.ts";
import { headerManipulation } from "./features/headerManipulation.ts";
import { healthCheckFilter } from "./features/healthCheckFilter.ts";
import { healthChecks } from "./features/healthChecks.ts";
import { http2 } from "./features/http2.ts";
import { httpConnect } from "./features/httpConnect.ts";
import { httpConnectionManager } from "./features/httpConnectionManager.ts";
import { istioAutoMtls } from "./features/istioAutoMtls.ts";
import { jwt } from "./features/jwt/jwt.ts";
import { lbHash } from "./features/lbHash.ts";
import { linkerd } from "./features/linkerd.ts";
import { listenerOptions } from "./features/listenerOptions.ts";
import { listenerTracing } from "./features/listenerTracing.ts";
import { loadBalancer } from "./features/loadBalancer.ts";
import { localRateLimit } from "./features/localRateLimit.ts";
import { outlierDetection } from "./features/outlierDetection.ts";
import { preconnect } from "./features/preconnect.ts";
import { proxyProtocol } from "./features/proxyProtocol.ts";
import { rateLimit } from "./features/rateLimit/rateLimit.ts";
import { rbac } from "./features/rbac/rbac.ts";
import { restFunctions } from "./features/restFunctions.ts";
import { retries } from "./features/retries.ts";
import { rewrites } from "./features/rewrites.ts";
import { routeTracing } from "./features/routeTracing.ts";
import { sanitizeClusterHeader } from "./features/sanitizeClusterHeader.ts";
import { shadowing } from "./features/shadowing.ts";
import { sslConfig } from "./features/sslConfig.ts";
import { statefulSession } from "./features/statefulSession.ts";
import { stats } from "./features/stats.ts";
import { subsets } from "./features/subsets.ts";
import { tcpProxySettings } from "./features/tcpProxySettings.ts";
import { timeouts } from "./features/timeouts.ts";
import { transformations } from "./features/transformations.ts";
import { upgrades } from "./features/upgrades.ts";
import type { Feature } from "./plugin/feature.ts";
import type { Plugins } from "./plugin/plugins.ts";
import type { UpstreamKind, UpstreamType } from "./plugin/upstream-type.ts";
import { ai } from "./upstreams/ai/ai.ts";
import { aws } from "./upstreams/aws/aws.ts";
import { awsEc2 } from "./upstreams/awsEc2/awsEc2.ts";
import { azure } from "./upstreams/azure/azure.ts";
import { consul } from "./upstreams/consul/consul.ts";
import { gcp } from "./upstreams/gcp/gcp.ts";
import { kube } from "./upstreams/kube/kube.ts";
import { pipe } from "./upstreams/pipe/pipe.ts";
import { staticHosts } from "./upstreams/static/static.ts";

/** The types of Upstreams, by the name of their field. */
export const upstreamTypes = {
  static: staticHosts,
  pipe,
  kube,
  consul,
  aws: aws(process.env),
  awsEc2: awsEc2(process.env),
  azure,
  gcp,
  ai,
} satisfies { readonly [K in UpstreamKind]: UpstreamType<K> };

/** Options of Upstreams. Where the order counts, the later one reads what the earlier has made. */
const upstreamFeatures: readonly Feature[] = [
  failover, // may change how addresses are found
  circuitBreakers,
  loadBalancer,
  subsets,
  healthChecks,
  outlierDetection,
  dns,
  preconnect,
  connectionConfig,
  http2, // moves what connectionConfig says about HTTP
  sslConfig,
  istioAutoMtls, // where sslConfig says nothing
  failoverTls, // beside the sockets of both
  proxyProtocol, // wraps them all
  httpConnect, // puts another cluster in front of the one that all others have made
];

/** Options of listeners, virtual hosts and routes. HTTP filters are ordered by their stages, not by this list. */
const routeFeatures: readonly Feature[] = [
  httpConnectionManager,
  faultFilter,
  corsFilter,
  localRateLimit,
  grpcWeb,
  csrf,
  router,
  listenerTracing,
  accessLogs,
  tcpProxySettings,
  rateLimit,
  extProcEarly,
  extProc,
  extProcLate,
  dynamicForwardProxy,
  grpcJsonTranscoder,
  transformations, // before functions, which replace those of the regular stage
  restFunctions,
  grpcFunctions,
  gzip,
  buffer,
  healthCheckFilter,
  connectionLimit,
  statefulSession,
  listenerOptions,
  downstreamProxyProtocol,
  cors,
  faults,
  timeouts,
  rewrites,
  retries,
  headerManipulation,
  sanitizeClusterHeader, // adds to what headerManipulation removes
  extauth, // so does this
  jwt, // and this
  rbac,
  linkerd,
  shadowing,
  lbHash,
  upgrades,
  routeTracing,
  envoyMetadata,
  attemptCounts,
  stats,
  enterprise,
];

export const features: readonly Feature[] = [...upstreamFeatures, ...routeFeatures];

export const builtins: Plugins = { upstreamTypes, features };

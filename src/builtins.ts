// What is built in, and the order in which features take their turn. The compiler proves the list of types whole.
import { circuitBreakers } from "./features/circuitBreakers.ts";
import { connectionConfig } from "./features/connectionConfig.ts";
import { dns } from "./features/dns.ts";
import { failover } from "./features/failover.ts";
import { healthChecks } from "./features/healthChecks.ts";
import { http2 } from "./features/http2.ts";
import { loadBalancer } from "./features/loadBalancer.ts";
import { outlierDetection } from "./features/outlierDetection.ts";
import { preconnect } from "./features/preconnect.ts";
import { proxyProtocol } from "./features/proxyProtocol.ts";
import { sslConfig } from "./features/sslConfig.ts";
import { subsets } from "./features/subsets.ts";
import type { Feature } from "./plugin/feature.ts";
import type { Plugins } from "./plugin/plugins.ts";
import type { UpstreamKind, UpstreamType } from "./plugin/upstream-type.ts";
import { kube } from "./upstreams/kube/kube.ts";
import { notServed } from "./upstreams/notServed.ts";
import { pipe } from "./upstreams/pipe/pipe.ts";
import { staticHosts } from "./upstreams/static/static.ts";

/** The types of Upstreams, by the name of their field. */
export const upstreamTypes = {
  static: staticHosts,
  pipe,
  kube,
  consul: notServed("consul"),
  aws: notServed("aws"),
  awsEc2: notServed("awsEc2"),
  azure: notServed("azure"),
  gcp: notServed("gcp"),
  ai: notServed("ai"),
} satisfies { readonly [K in UpstreamKind]: UpstreamType<K> };

/** Options of Upstreams. Where the order counts, the later one reads what the earlier has made. */
const upstreamFeatures: readonly Feature[] = [
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
  proxyProtocol, // wraps the sockets of sslConfig
  failover,
];

export const features: readonly Feature[] = [...upstreamFeatures];

export const builtins: Plugins = { upstreamTypes, features };

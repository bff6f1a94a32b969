// A configuration of any size that looks like a real one: for benchmarks and property tests. Plain objects in the Kubernetes
// envelope, deterministic.

export interface PlainResource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels?: Record<string, string> };
  readonly spec: Record<string, unknown>;
}

export interface RealisticOptions {
  readonly upstreams: number;
  readonly routes: number;
  /** Routes in one VirtualService or RouteTable. Default 10. */
  readonly routesPerTable?: number;
  /** Address that all static Upstreams point to; by default each its own in 10.0.0.0/8. */
  readonly backend?: { readonly host: string; readonly port: number };
}

/** `upstreams` static Upstreams in four namespaces, `routes` routes in VirtualServices, of which every fourth delegates to a RouteTable. */
export function realistic(options: RealisticOptions): PlainResource[] {
  const perTable = options.routesPerTable ?? 10;
  const out: PlainResource[] = [];
  for (let i = 0; i < options.upstreams; i++) out.push(upstream(i, options.backend));
  for (let first = 0, table = 0; first < options.routes; first += perTable, table++) {
    const routes = Array.from({ length: Math.min(perTable, options.routes - first) }, (_, i) => route(first + i, options.upstreams));
    if (table % 4 === 3) {
      const label = `team-${table}`;
      out.push({
        apiVersion: "gateway.solo.io/v1",
        kind: "RouteTable",
        metadata: { name: `routes-${table}`, namespace: namespaceOf(table), labels: { team: label } },
        spec: {
          routes: routes.map((each) => ({ ...each, matchers: each.matchers.map((m) => ({ ...m, prefix: `/t${table}${m.prefix}` })) })),
        },
      });
      out.push(
        virtualService(table, [
          {
            matchers: [{ prefix: `/t${table}` }],
            delegateAction: { selector: { namespaces: [namespaceOf(table)], labels: { team: label } } },
          },
        ]),
      );
    } else out.push(virtualService(table, routes));
  }
  return out;
}

const namespaces = ["gloo-system", "shop", "depot", "billing"] as const;

function namespaceOf(i: number): string {
  return namespaces[i % namespaces.length] as string;
}

/** The `i`-th Upstream; `port` may be changed to make an edit. */
export function upstream(i: number, backend?: { readonly host: string; readonly port: number }): PlainResource {
  const addr = backend?.host ?? `10.${(i >> 16) & 255}.${(i >> 8) & 255}.${i & 255}`;
  return {
    apiVersion: "gloo.solo.io/v1",
    kind: "Upstream",
    metadata: { name: `service-${i}`, namespace: namespaceOf(i), labels: { app: `service-${i}` } },
    spec: {
      static: { hosts: [{ addr, port: backend?.port ?? 8080 + (i % 10) }] },
      ...(i % 5 === 0 && { circuitBreakers: { maxConnections: 1000 + i, maxRequests: 500 } }),
      ...(i % 7 === 0 && { connectionConfig: { connectTimeout: "2s" } }),
    },
  };
}

function virtualService(table: number, routes: readonly unknown[]): PlainResource {
  return {
    apiVersion: "gateway.solo.io/v1",
    kind: "VirtualService",
    metadata: { name: `site-${table}`, namespace: namespaceOf(table) },
    spec: {
      virtualHost: {
        domains: [`site-${table}.example.com`],
        routes,
        options: { headerManipulation: { responseHeadersToRemove: ["x-internal"] } },
      },
    },
  };
}

function route(i: number, upstreams: number) {
  const to = (n: number) => ({ upstream: { name: `service-${n % upstreams}`, namespace: namespaceOf(n % upstreams) } });
  return {
    matchers: [
      {
        prefix: `/r${i}`,
        ...(i % 6 === 0 && { methods: ["GET", "POST"] }),
        ...(i % 9 === 0 && { headers: [{ name: "x-tenant", value: `t${i}` }] }),
      },
    ],
    routeAction:
      i % 8 === 0
        ? {
            multi: {
              destinations: [
                { destination: to(i), weight: 90 },
                { destination: to(i + 1), weight: 10 },
              ],
            },
          }
        : { single: to(i) },
    options: {
      timeout: "20s",
      ...(i % 3 === 0 && { prefixRewrite: "/" }),
      ...(i % 4 === 0 && { retries: { retryOn: "5xx", numRetries: 2 } }),
    },
  };
}

// One Upstream → its cluster, and what else Envoy needs for it. Pure; knows no type and no feature by name.
//
// The order is: the type's own `validate` and `cluster`, then the features that all types share, in the order of the list, then
// Envoy's own rules about values. An error anywhere means that the cluster is not sent: a cluster that Envoy refuses can take
// everything down that travels with it. Addresses are another matter and another file: endpoints.ts.
import { create } from "@bufbuild/protobuf";
import { violationsOf } from "../envoy/constraints.ts";
import { type Encode, envoyResource } from "../envoy/encode.ts";
import { clusterName } from "../envoy/names.ts";
import { type Cluster, ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { SecretSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Problem, Report } from "../model/problem.ts";
import { formatRef } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { UpstreamFeatureContext } from "../plugin/feature.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { AnyUpstreamType, ClusterDraft, UpstreamOf } from "../plugin/upstream-type.ts";
import type { World } from "../plugin/world.ts";
import { reportViolations } from "./constraintProblems.ts";

export interface ClusterMaking {
  /** When the cluster is encoded. Default: at once. */
  readonly encode?: Encode;
  /** Key material is sent as Secrets, and clusters refer to it. */
  readonly secretsApart?: boolean;
}

export interface ClusterTranslation {
  /** Absent when a problem is an error. */
  readonly cluster?: EnvoyResource;
  /** What the type and the features send besides: a generated listener, a further cluster. */
  readonly extras: readonly EnvoyResource[];
  readonly problems: readonly Problem[];
  /** What a plug-in threw, for the log; the user sees the problem `PluginFailed`. */
  readonly fault?: unknown;
}

export function clusterOf(
  resource: Resource<"Upstream">,
  world: World,
  plugins: Plugins,
  { encode = envoyResource, secretsApart = false }: ClusterMaking = {},
): ClusterTranslation {
  const report = new Report(resource.key);
  try {
    const typed = typedUpstream(resource, plugins, report);
    const sent: EnvoyResource[] = [];
    const cluster = typed && buildCluster(typed, world, plugins, report, sent, secretsApart);
    if (!typed || !cluster || report.hasErrors) return { extras: [], problems: report.problems };
    const extras = [...sent, ...(typed.type.extras?.(typed.upstream, { world, report }) ?? [])];
    if (report.hasErrors) return { extras: [], problems: report.problems };
    // A type of the user may make what cannot be encoded, and that is found here and now.
    const encodeNow = resource.custom ? envoyResource : encode;
    return {
      cluster: encodeNow(ClusterSchema, cluster.name, cluster, [resource.key]),
      extras,
      problems: report.problems,
    };
  } catch (fault) {
    report.error("PluginFailed", `a plug-in failed while it made the cluster of this Upstream: ${messageOf(fault)}`);
    return { extras: [], problems: report.problems, fault };
  }
}

export interface TypedResource {
  readonly type: AnyUpstreamType;
  readonly upstream: UpstreamOf<unknown>;
}

/** An Upstream with the plug-in of its type; undefined, and an error in the report, when there is none. */
export function typedUpstream(resource: Resource<"Upstream">, plugins: Plugins, report: Report): TypedResource | undefined {
  const { spec: upstream, custom } = resource;
  if (upstream === undefined) return undefined;
  const kind = custom?.kind ?? upstream.upstreamType.case;
  if (kind === undefined) {
    report.error(
      "UpstreamTypeMissing",
      "cluster was configured improperly by one or more plugins: cluster type STATIC specified but LoadAssignment was empty",
      { hint: `give it a type: one of ${Object.keys(plugins.upstreamTypes).join(", ")}` },
    );
    return undefined;
  }
  const type = Object.hasOwn(plugins.upstreamTypes, kind) ? plugins.upstreamTypes[kind] : undefined;
  if (type === undefined) {
    report.error("UpstreamTypeNotSupported", `Upstreams of the type ${kind} are not served by this version`, { path: kind });
    return undefined;
  }
  const spec = custom ? type.parse?.(custom.config, report) : upstream.upstreamType.value;
  if (spec === undefined) {
    if (!report.hasErrors) report.error("PluginProblem", `the type ${kind} could not read this`, { path: kind });
    return undefined;
  }
  return { type, upstream: { key: resource.key, ref: resource.ref, name: clusterName(resource.ref), spec, upstream } };
}

function buildCluster(
  { type, upstream }: TypedResource,
  world: World,
  plugins: Plugins,
  report: Report,
  sent: EnvoyResource[],
  secretsApart: boolean,
): Cluster | undefined {
  const context = { world, report };
  type.validate?.(upstream, context);
  const own: ClusterDraft | undefined = type.cluster(upstream, context);
  if (own === undefined) {
    if (!report.hasErrors)
      report.error("PluginFailed", `the type ${type.kind} made no cluster of ${formatRef(upstream.ref)} and did not say why`);
    return undefined;
  }
  const tls = type.tls?.(upstream);
  const send: UpstreamFeatureContext["send"] = (schema, name, init) => {
    const message = create(schema, init);
    reportViolations(violationsOf(schema, message), type.kind, report);
    sent.push(envoyResource(schema, name, message, [upstream.key]));
  };
  const featureContext: UpstreamFeatureContext = {
    world,
    report,
    tls,
    path: "",
    send,
    ...(secretsApart && { sendSecret: (name, secret) => send(SecretSchema, name, secret) }),
  };
  let draft: ClusterDraft = { connectTimeout: defaultConnectTimeout, ...own };
  for (const feature of plugins.features) {
    if (feature.upstream) draft = feature.upstream(draft, upstream, featureContext);
  }
  const cluster = create(ClusterSchema, draft);
  reportViolations(violationsOf(ClusterSchema, cluster), type.kind, report);
  return cluster;
}

/** Gloo's. Envoy has the same, but only where the field is absent. */
const defaultConnectTimeout = { seconds: 5n, nanos: 0 };

function messageOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : String(fault);
}

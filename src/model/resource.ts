// Resources as sources deliver them: parsed, typed, with a note of where they came from.
import type { DescMessage, JsonObject, MessageShape } from "@bufbuild/protobuf";
import {
  HttpListenerOptionSchema,
  ListenerOptionSchema,
  RouteOptionSchema,
  VirtualHostOptionSchema,
} from "../gen/gloo/gloo/projects/gateway/api/v1/external_options_pb.js";
import { GatewaySchema } from "../gen/gloo/gloo/projects/gateway/api/v1/gateway_pb.js";
import { MatchableHttpGatewaySchema } from "../gen/gloo/gloo/projects/gateway/api/v1/matchable_http_gateway_pb.js";
import { MatchableTcpGatewaySchema } from "../gen/gloo/gloo/projects/gateway/api/v1/matchable_tcp_gateway_pb.js";
import { RouteTableSchema } from "../gen/gloo/gloo/projects/gateway/api/v1/route_table_pb.js";
import { VirtualServiceSchema } from "../gen/gloo/gloo/projects/gateway/api/v1/virtual_service_pb.js";
import { ArtifactSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/artifact_pb.js";
import { AuthConfigSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/extauth/v1/extauth_pb.js";
import { ProxySchema, UpstreamGroupSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/proxy_pb.js";
import { SecretSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/secret_pb.js";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { RateLimitConfigSpecSchema } from "../gen/gloo/solo-apis/api/rate-limiter/v1alpha1/ratelimit_pb.js";
import type { Problem } from "./problem.ts";
import type { Ref, ResourceKey } from "./ref.ts";

interface KindInfo {
  readonly group: string;
  readonly version: string;
  /** Also the folder of Gloo's file mode: `<plural>/<namespace>/<name>.yaml`. */
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly schema: DescMessage;
}

/** The kinds of the API. The message of a kind holds what is under `spec` (its `metadata` and `namespacedStatuses` stay unset). */
export const kinds = {
  Upstream: { group: "gloo.solo.io", version: "v1", plural: "upstreams", shortNames: ["us", "gus"], schema: UpstreamSchema },
  UpstreamGroup: { group: "gloo.solo.io", version: "v1", plural: "upstreamgroups", shortNames: ["ug", "gug"], schema: UpstreamGroupSchema },
  Proxy: { group: "gloo.solo.io", version: "v1", plural: "proxies", shortNames: ["px", "gpx"], schema: ProxySchema },
  Settings: { group: "gloo.solo.io", version: "v1", plural: "settings", shortNames: ["st", "gst"], schema: SettingsSchema },
  Secret: { group: "gloo.solo.io", version: "v1", plural: "secrets", shortNames: ["sec"], schema: SecretSchema },
  Artifact: { group: "gloo.solo.io", version: "v1", plural: "artifacts", shortNames: ["art"], schema: ArtifactSchema },
  Gateway: { group: "gateway.solo.io", version: "v1", plural: "gateways", shortNames: ["gw", "ggw"], schema: GatewaySchema },
  VirtualService: {
    group: "gateway.solo.io",
    version: "v1",
    plural: "virtualservices",
    shortNames: ["vs", "gvs"],
    schema: VirtualServiceSchema,
  },
  RouteTable: { group: "gateway.solo.io", version: "v1", plural: "routetables", shortNames: ["rt", "grt"], schema: RouteTableSchema },
  RouteOption: {
    group: "gateway.solo.io",
    version: "v1",
    plural: "routeoptions",
    shortNames: ["rto", "rtopts", "grto"],
    schema: RouteOptionSchema,
  },
  VirtualHostOption: {
    group: "gateway.solo.io",
    version: "v1",
    plural: "virtualhostoptions",
    shortNames: ["vho", "vhopts", "gvho"],
    schema: VirtualHostOptionSchema,
  },
  ListenerOption: {
    group: "gateway.solo.io",
    version: "v1",
    plural: "listeneroptions",
    shortNames: ["lisopts", "glisopts"],
    schema: ListenerOptionSchema,
  },
  HttpListenerOption: {
    group: "gateway.solo.io",
    version: "v1",
    plural: "httplisteneroptions",
    shortNames: ["hlisopts", "ghlisopts"],
    schema: HttpListenerOptionSchema,
  },
  MatchableHttpGateway: {
    group: "gateway.solo.io",
    version: "v1",
    plural: "httpgateways",
    shortNames: ["hgw", "ghgw"],
    schema: MatchableHttpGatewaySchema,
  },
  MatchableTcpGateway: {
    group: "gateway.solo.io",
    version: "v1",
    plural: "tcpgateways",
    shortNames: ["tgw", "gtgw"],
    schema: MatchableTcpGatewaySchema,
  },
  AuthConfig: {
    group: "enterprise.gloo.solo.io",
    version: "v1",
    plural: "authconfigs",
    shortNames: ["ac", "gac"],
    schema: AuthConfigSchema,
  },
  RateLimitConfig: {
    group: "ratelimit.solo.io",
    version: "v1alpha1",
    plural: "ratelimitconfigs",
    shortNames: ["rlc", "grlc"],
    schema: RateLimitConfigSpecSchema,
  },
} as const satisfies Record<string, KindInfo>;

/** Objects of Kubernetes itself that configuration refers to; kept as the JSON they are, without `apiVersion`, `kind` and `metadata`. */
export const kubeKinds = ["Service", "Endpoints", "EndpointSlice", "Pod", "Node", "Namespace"] as const;

export type ApiKind = keyof typeof kinds;
export type KubeKind = (typeof kubeKinds)[number];
export type Kind = ApiKind | KubeKind;

/** The message of a kind. */
export type Spec<K extends Kind> = K extends ApiKind ? MessageShape<(typeof kinds)[K]["schema"]> : JsonObject;

/** Where a resource came from, so that the source can be asked for the place of a field and the object be named in an error. */
export interface Origin {
  /** Which source: `files`, `kubernetes`, `consul`, `memory`, `discovery`. */
  readonly source: string;
  /** For files: path as the user wrote the folder, joined with the path below it. */
  readonly file?: string;
  /** For files: which document of the file, from 0. */
  readonly document?: number;
  /** For Kubernetes: of the object when this content was read. What others have written to its status since does not show here. */
  readonly uid?: string;
  readonly generation?: number;
  readonly resourceVersion?: string;
}

export interface Resource<K extends Kind = Kind> {
  readonly kind: K;
  readonly key: ResourceKey;
  readonly ref: Ref;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /**
   * The parsed message. When the object itself could not be understood (`problems` has errors), this is the last version that
   * could, and `isStale` is set; without such a version, `spec` is undefined.
   */
  readonly spec: Spec<K> | undefined;
  readonly isStale?: boolean;
  /** Without its mistakes, what there is of a message with mistakes: for further findings about it, and for nothing else. */
  readonly readable?: Spec<K>;
  /** Of an Upstream whose type the user has added (headworks.config.ts): the field of `spec` with that kind's name, as it was written. */
  readonly custom?: { readonly kind: string; readonly config: JsonObject };
  /** Hash of what the user wrote: equal content, equal version. */
  readonly version: string;
  /** What the source found while reading it. */
  readonly problems: readonly Problem[];
  readonly origin: Origin;
  /** Of Kubernetes, where known; older wins where two claim the same. ISO 8601. */
  readonly createdAt?: string;
}

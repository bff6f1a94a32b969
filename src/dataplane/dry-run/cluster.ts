// A cluster that picks as the one in service would at its first request, and sends nothing: it keeps what would be sent.

import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import { AwsCredentialProviderSchema } from "../../gen/envoy/envoy/extensions/common/aws/v3/credential_provider_pb.js";
import type { PickContext } from "../balancing/candidate.ts";
import { type CompiledCluster, plainTransport } from "../compile/cluster.ts";
import type { EndpointSet, EndpointSpec } from "../compile/endpoints.ts";
import { CredentialSource } from "../filters/awsLambda.ts";
import { ClusterRuntime } from "../upstream/cluster.ts";
import { Host } from "../upstream/host.ts";
import type { Waiter } from "../upstream/pool.ts";
import type { OutgoingRequest, UpstreamStream } from "../upstream/stream.ts";
import type { DryCluster } from "./resources.ts";

export interface Sent {
  /** Undefined: where it would go is not known, since there are no endpoints. */
  readonly host: EndpointSpec | undefined;
  readonly request: OutgoingRequest;
}

export type OnSent = (sent: Sent, waiter: Waiter) => void;

/** Without what talks to the world (health checks, outlier detection, names, credentials), so that any protocol will do. */
export class RecordingCluster extends ClusterRuntime {
  readonly #onSent: OnSent;

  constructor({ compiled, endpoints }: DryCluster, onSent: OnSent) {
    super(silent(compiled, endpoints), undefined, { secret: () => undefined, onDns: () => undefined });
    this.#onSent = onSent;
  }

  override pick(context: PickContext): Host | undefined {
    const found = super.pick(context);
    if (found !== undefined)
      return new RecordingHost(this, found.spec, (request, waiter) => this.#onSent({ host: found.spec, request }, waiter));
    if (this.hosts.length > 0) return undefined;
    return new RecordingHost(this, nowhere, (request, waiter) => this.#onSent({ host: undefined, request }, waiter));
  }
}

function silent(compiled: CompiledCluster, endpoints: EndpointSet): CompiledCluster {
  const { lambda } = compiled.filters;
  return {
    ...compiled,
    discovery: "static",
    inline: { ...endpoints, endpoints: endpoints.endpoints.map((each) => named(each, compiled)) },
    healthChecks: [],
    outliers: undefined,
    unusable: undefined,
    transport: plainTransport,
    transportMatches: [],
    ...(lambda && { filters: { ...compiled.filters, lambda: { ...lambda, credentials: noCredentials(lambda.region) } } }),
  };
}

/** A name that is looked up is the host name of the addresses behind it. */
function named(endpoint: EndpointSpec, { discovery }: CompiledCluster): EndpointSpec {
  const isLookedUp = (discovery === "strictDns" || discovery === "logicalDns") && !endpoint.isPipe && isIP(endpoint.address) === 0;
  return isLookedUp && endpoint.hostname === "" ? { ...endpoint, hostname: endpoint.address } : endpoint;
}

/** What is signed with them is no signature. */
function noCredentials(region: string): CredentialSource {
  return new CredentialSource(
    create(AwsCredentialProviderSchema, { inlineCredential: { accessKeyId: "none", secretAccessKey: "none" } }),
    region,
  );
}

const nowhere: EndpointSpec = {
  address: "",
  port: 0,
  isPipe: false,
  hostname: "",
  weight: 1,
  health: "healthy",
  priority: 0,
  locality: { key: "", weight: 0 },
  hashKey: undefined,
  lbMetadata: undefined,
  check: undefined,
  transportMatch: undefined,
};

class RecordingHost extends Host {
  readonly #onBegin: (request: OutgoingRequest, waiter: Waiter) => void;

  constructor(cluster: ClusterRuntime, spec: EndpointSpec, onBegin: (request: OutgoingRequest, waiter: Waiter) => void) {
    super(cluster, spec.address, spec, undefined);
    this.#onBegin = onBegin;
  }

  override acquire(waiter: Waiter): UpstreamStream {
    const begin = (request: OutgoingRequest) => this.#onBegin({ ...plain(request), headers: [...request.headers] }, waiter);
    const nothing = () => undefined;
    return {
      mayHaveBeenStale: false,
      begin: (_, request) => begin(request),
      sendData: nothing,
      endRequest: nothing,
      flush: () => true,
      pauseResponse: nothing,
      resumeResponse: nothing,
      abandon: nothing,
    };
  }
}

function plain({ method, path, authority, scheme, headers, contentLength, isChunked, upgrade }: OutgoingRequest): OutgoingRequest {
  return { method, path, authority, scheme, headers, contentLength, isChunked, upgrade };
}

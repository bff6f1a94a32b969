// What is asked for, because something refers to it.

import type { MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { envoyResource, packAny } from "../envoy/encode.ts";
import { ClusterSchema } from "../gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { ProxyProtocolUpstreamTransportSchema } from "../gen/envoy/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { UpstreamTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { typeUrls } from "../model/envoy-resource.ts";
import { referencesOf } from "./references.ts";

const socket = (value: ReturnType<typeof packAny>) => ({ name: "socket", configType: { case: "typedConfig" as const, value } });
const tls = (configSourceSpecifier: object) =>
  socket(
    packAny(UpstreamTlsContextSchema, {
      commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: "pair", sdsConfig: { configSourceSpecifier } }] },
    } as never),
  );
const referencesFor = (transportSocket: object) =>
  referencesOf(envoyResource(ClusterSchema, "a", { name: "a", transportSocket } as MessageInitShape<typeof ClusterSchema>, []));
const ads = tls({ case: "ads", value: {} });
const wanted = [{ typeUrl: typeUrls.secret, name: "pair" }];

test("the secrets of a cluster, also behind the PROXY protocol", () => {
  expect(referencesFor(ads)).toMatchObject({ wanted, elsewhere: [] });
  const proxied = socket(packAny(ProxyProtocolUpstreamTransportSchema, { transportSocket: ads }));
  expect(referencesFor(proxied)).toMatchObject({ wanted, elsewhere: [] });
});

test("secrets of an SDS server of the user's own are asked for there, by the data plane", () => {
  expect(referencesFor(tls({ case: "apiConfigSource", value: { apiType: 2 } }))).toMatchObject({ wanted: [], elsewhere: [] });
});

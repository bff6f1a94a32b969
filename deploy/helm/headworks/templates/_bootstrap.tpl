{{/*
What `envoyBootstrap` of src/xds/bootstrap.ts gives (a test compares the two), and a listener for probes and metrics: the admin interface can
stop Envoy, so it stays on loopback.
*/}}
{{- define "headworks.bootstrap" -}}
{{- $proxy := .Values.gatewayProxy -}}
node:
  metadata:
    role: {{ include "headworks.role" . }}
admin:
  address: { socket_address: { address: 127.0.0.1, port_value: 19000 } }
dynamic_resources:
  ads_config:
    api_type: DELTA_GRPC
    transport_api_version: V3
    set_node_on_first_message_only: true
    grpc_services:
      - envoy_grpc:
          cluster_name: headworks_xds
          retry_policy: { retry_back_off: { base_interval: 0.2s, max_interval: 2s } }
  # However long the first configuration takes: an Envoy without listeners is not to be called ready.
  cds_config: { resource_api_version: V3, ads: {}, initial_fetch_timeout: 0s }
  lds_config: { resource_api_version: V3, ads: {}, initial_fetch_timeout: 0s }
static_resources:
  clusters:
    - name: headworks_xds
      type: STRICT_DNS
      connect_timeout: 1s
      typed_extension_protocol_options:
        envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
          "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
          explicit_http_config:
            http2_protocol_options: { connection_keepalive: { interval: 30s, timeout: 60s } }
      {{- if ne .Values.xds.tls.mode "none" }}
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
          sni: {{ include "headworks.xdsHost" . }}
          common_tls_context:
            alpn_protocols: [h2]
            tls_certificates:
              - certificate_chain: { filename: /etc/xds/tls.crt }
                private_key: { filename: /etc/xds/tls.key }
            validation_context:
              trusted_ca: { filename: /etc/xds/ca.crt }
              match_typed_subject_alt_names:
                - { san_type: DNS, matcher: { exact: {{ include "headworks.xdsHost" . }} } }
      {{- end }}
      load_assignment:
        cluster_name: headworks_xds
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: {{ include "headworks.xdsHost" . }}, port_value: 9977 } } }
    - name: envoy_admin
      type: STATIC
      connect_timeout: 1s
      load_assignment:
        cluster_name: envoy_admin
        endpoints:
          - lb_endpoints:
              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 19000 } } }
  listeners:
    - name: metrics
      address: { socket_address: { address: "::", port_value: 8081, ipv4_compat: true } }
      ignore_global_conn_limit: true
      filter_chains:
        - filters:
            - name: envoy.filters.network.http_connection_manager
              typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: metrics
                normalize_path: true
                http_filters:
                  - name: envoy.filters.http.router
                    typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
                route_config:
                  name: metrics
                  virtual_hosts:
                    - name: metrics
                      domains: ["*"]
                      routes:
                        - match: { path: /ready, headers: [{ name: ":method", string_match: { exact: GET } }] }
                          route: { cluster: envoy_admin }
                        - match: { path: /metrics, headers: [{ name: ":method", string_match: { exact: GET } }] }
                          route: { cluster: envoy_admin, prefix_rewrite: /stats/prometheus }
deferred_stat_options: { enable_deferred_creation_stats: true }
overload_manager:
  refresh_interval: 0.25s
  resource_monitors:
    - name: envoy.resource_monitors.global_downstream_max_connections
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig
        max_active_downstream_connections: {{ $proxy.maxConnections | int64 | quote }}
    - name: envoy.resource_monitors.fixed_heap
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig
        max_heap_size_bytes: {{ $proxy.maxHeapBytes | int64 | quote }}
  actions:
    - name: envoy.overload_actions.shrink_heap
      triggers: [{ name: envoy.resource_monitors.fixed_heap, threshold: { value: 0.92 } }]
    - name: envoy.overload_actions.stop_accepting_requests
      triggers: [{ name: envoy.resource_monitors.fixed_heap, threshold: { value: 0.95 } }]
{{- end }}

{{/* What is read: the kinds of the API, and what they refer to. */}}
{{- define "headworks.readRules" -}}
- apiGroups: [gloo.solo.io, gateway.solo.io, enterprise.gloo.solo.io, ratelimit.solo.io]
  resources: ["*"]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [services, endpoints, pods, secrets, configmaps]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
{{- end }}

{{/* What is written: statuses, and Events about them. */}}
{{- define "headworks.writeRules" -}}
- apiGroups: [gloo.solo.io]
  resources: [upstreams/status, upstreamgroups/status, settings/status]
  verbs: [patch, update]
- apiGroups: [gateway.solo.io]
  resources:
    - gateways/status
    - virtualservices/status
    - routetables/status
    - routeoptions/status
    - virtualhostoptions/status
    - listeneroptions/status
    - httplisteneroptions/status
    - httpgateways/status
    - tcpgateways/status
  verbs: [patch, update]
- apiGroups: [enterprise.gloo.solo.io]
  resources: [authconfigs/status]
  verbs: [patch, update]
- apiGroups: [ratelimit.solo.io]
  resources: [ratelimitconfigs/status]
  verbs: [patch, update]
{{- if .Values.rbac.statusInObject }}
- apiGroups: [gloo.solo.io, gateway.solo.io, enterprise.gloo.solo.io, ratelimit.solo.io]
  resources: ["*"]
  verbs: [patch, update]
{{- end }}
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch, update]
{{- end }}

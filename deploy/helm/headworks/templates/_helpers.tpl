{{- define "headworks.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "headworks.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "headworks.name" .) -}}
{{- end }}

{{- define "headworks.labels" -}}
app.kubernetes.io/name: headworks
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "headworks.selector" -}}
app.kubernetes.io/name: headworks
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: control-plane
{{- end }}

{{/* As Gloo labels its Envoys, so that Services and policies of an installation that is taken over select them. */}}
{{- define "headworks.proxySelector" -}}
gloo: gateway-proxy
gateway-proxy-id: {{ .Values.gatewayProxy.name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "headworks.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end }}

{{- define "headworks.xdsServerSecret" -}}
{{- .Values.xds.tls.serverSecret | default (printf "%s-xds" (include "headworks.name" .)) -}}
{{- end }}

{{- define "headworks.xdsClientSecret" -}}
{{- .Values.xds.tls.clientSecret | default (printf "%s-xds" .Values.gatewayProxy.name) -}}
{{- end }}

{{- define "headworks.xdsHost" -}}
{{- printf "%s.%s.svc" (include "headworks.name" .) .Release.Namespace -}}
{{- end }}

{{/* The role of an Envoy names its Proxy. */}}
{{- define "headworks.role" -}}
{{- printf "%s~%s" (include "headworks.discoveryNamespace" .) (.Values.gatewayProxy.proxyName | default .Values.gatewayProxy.name) -}}
{{- end }}

{{/* Where Proxies are, and discovered Upstreams: with Gloo, the namespace of the installation. */}}
{{- define "headworks.discoveryNamespace" -}}
{{- .Values.settings.spec.discoveryNamespace | default .Release.Namespace -}}
{{- end }}

{{/* The namespaces with a Role, as a JSON list; none when there is a ClusterRole. */}}
{{- define "headworks.namespaces" -}}
{{- if .Values.watchNamespaces -}}
{{- concat .Values.watchNamespaces (list .Release.Namespace (include "headworks.discoveryNamespace" .)) | uniq | sortAlpha | toJson -}}
{{- else -}}
[]
{{- end -}}
{{- end }}

{{/* Pod security "restricted". */}}
{{- define "headworks.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10101
runAsGroup: 10101
fsGroup: 10101
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "headworks.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* Where Pods go: as the values say, and away from each other. */}}
{{- define "headworks.scheduling" -}}
{{- with .values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- .selector | nindent 8 }}
{{- end }}

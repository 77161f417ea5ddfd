{{- define "wao.image" -}}
{{ .root.Values.image.registry }}/{{ .name }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "wao.labels" -}}
app.kubernetes.io/name: whatsapp-operator
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "wao.selector" -}}
app.kubernetes.io/name: whatsapp-operator
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "wao.credentials" -}}
{{ .Values.existingSecret | default (printf "%s-credentials" .Release.Name) }}
{{- end }}

{{- define "wao.redisUrl" -}}
{{- if .Values.redis.enabled -}}
redis://{{ .Release.Name }}-redis.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:6379/
{{- else -}}
{{ required "externalRedis.url is needed when redis.enabled is false" .Values.externalRedis.url }}
{{- end }}
{{- end }}

{{- define "wao.redisCa" -}}
{{ .Values.redis.enabled | ternary "" .Values.externalRedis.ca }}
{{- end }}

{{- /* The operator makes users and so must be the administrator; the API only reads and writes what sessions do. */}}
{{- define "wao.redisUser" -}}
{{ .Values.redis.enabled | ternary "default" .Values.externalRedis.username }}
{{- end }}

{{- define "wao.redisApiUser" -}}
{{- if .Values.redis.enabled -}}
api
{{- else -}}
{{ .Values.externalRedis.apiUsername | default .Values.externalRedis.username }}
{{- end }}
{{- end }}

{{- define "wao.redisApiKey" -}}
{{ or .Values.redis.enabled .Values.externalRedis.apiUsername | empty | ternary "redis-password" "redis-api-password" }}
{{- end }}

{{- define "wao.redisSecret" -}}
{{- if .Values.redis.enabled -}}
{{ include "wao.credentials" . }}
{{- else -}}
{{ required "externalRedis.existingSecret is needed when redis.enabled is false" .Values.externalRedis.existingSecret }}
{{- end }}
{{- end }}

{{- define "wao.redisPeers" -}}
{{- if .Values.redis.enabled -}}
{{ list (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .Release.Namespace)) "podSelector" (dict "matchLabels" (include "wao.selector" (dict "root" . "component" "redis") | fromYaml))) | toJson }}
{{- else -}}
{{ .Values.externalRedis.peers | toJson }}
{{- end }}
{{- end }}

{{- define "wao.databaseUrl" -}}
{{- if .Values.postgresql.enabled -}}
postgres://whatsapp@{{ .Release.Name }}-postgresql.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}:5432/whatsapp
{{- else -}}
{{ required "externalPostgresql.url is needed when postgresql.enabled is false" .Values.externalPostgresql.url }}
{{- end }}
{{- end }}

{{- define "wao.databaseSecret" -}}
{{- if .Values.postgresql.enabled -}}
{{ include "wao.credentials" . }}
{{- else -}}
{{ required "externalPostgresql.existingSecret is needed when postgresql.enabled is false" .Values.externalPostgresql.existingSecret }}
{{- end }}
{{- end }}

{{- define "wao.jwtSecret" -}}
{{ .Values.api.existingSecret | default (include "wao.credentials" .) }}
{{- end }}

{{- /* What PodSecurity `restricted` asks for, and a read-only root besides. */}}
{{- define "wao.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "wao.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "wao.adminProbes" -}}
startupProbe:
  httpGet: {path: /live, port: admin}
  periodSeconds: 1
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /ready, port: admin}
  periodSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /live, port: admin}
  periodSeconds: 10
  failureThreshold: 3
{{- end }}

{{- define "wao.monitoringLabels" -}}
{{ include "wao.labels" (dict "root" . "component" "monitoring") }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "gpu-rescue.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gpu-rescue.fullname" -}}
{{- $name := include "gpu-rescue.name" . }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "gpu-rescue.selector" -}}
app.kubernetes.io/name: {{ include "gpu-rescue.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gpu-rescue.labels" -}}
{{ include "gpu-rescue.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "gpu-rescue.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "gpu-rescue.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* ClusterRoles are of the whole cluster: two releases of one name must not share theirs. */}}
{{- define "gpu-rescue.clusterRole" -}}
{{- printf "%s-%s" .Release.Namespace (include "gpu-rescue.fullname" .) }}
{{- end }}

{{- define "gpu-rescue.eventsNamespace" -}}
{{- .Values.events.namespace | default .Values.namespace.name }}
{{- end }}

{{- define "gpu-rescue.nodeEventsNamespace" -}}
{{- .Values.nodeEvents.namespace | default .Values.namespace.name }}
{{- end }}

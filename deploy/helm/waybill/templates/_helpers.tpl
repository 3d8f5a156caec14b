{{- define "waybill.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The name of everything; 54 characters leave room for "-worker" and the like. */}}
{{- define "waybill.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" }}
{{- else if contains (include "waybill.name" .) .Release.Name }}
{{- .Release.Name | trunc 54 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "waybill.name" .) | trunc 54 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Names are quoted everywhere: 2026 and "on" are names to Kubernetes, and to YAML something else. */}}
{{- define "waybill.selector" -}}
app.kubernetes.io/name: {{ include "waybill.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "waybill.labels" -}}
{{ include "waybill.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{- define "waybill.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* The kinds of pods of this mode, by spaces. */}}
{{- define "waybill.components" -}}
{{ eq .Values.mode "together" | ternary "serve" "api worker" }}
{{- end }}

{{/* What a container may do: nothing. */}}
{{- define "waybill.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "waybill.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "waybill.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The port of /metrics where it has one of its own. */}}
{{- define "waybill.metricsPort" -}}9464{{- end }}

{{/* The ports of a URL's or an address's hosts, by spaces: "default" for a host that names none. */}}
{{- define "waybill.ports" -}}
{{- $ports := list }}
{{- range $host := splitList "," (regexReplaceAll "[/?].*$" (regexReplaceAll "^[a-z]+://[^@/]*@" .hosts "") "") }}
{{- $ports = append $ports (regexFind ":[0-9]+$" $host | trimPrefix ":" | default $.default) }}
{{- end }}
{{- join " " (uniq $ports) }}
{{- end }}

{{- define "waybill.checkValues" -}}
{{- $missing := list }}
{{- if not .Values.secrets.name }}{{ $missing = append $missing "secrets.name" }}{{ end }}
{{- if not .Values.database.url }}{{ $missing = append $missing "database.url" }}{{ end }}
{{- if not .Values.temporal.address }}{{ $missing = append $missing "temporal.address" }}{{ end }}
{{- if and .Values.migrate.enabled (not .Values.secrets.owner) }}{{ $missing = append $missing "secrets.owner" }}{{ end }}
{{- if and .Values.migrate.enabled (not .Values.database.ownerURL) }}{{ $missing = append $missing "database.ownerURL" }}{{ end }}
{{- if $missing }}
{{- fail (printf "these values are missing: %s; values.yaml says what each is" (join ", " $missing)) }}
{{- end }}
{{- end }}

{{/* Names and labels. */}}

{{- define "roster.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for what is appended to it. */}}
{{- define "roster.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "roster.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "roster.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What finds every pod of the release: neither changes while a Deployment lives. */}}
{{- define "roster.selectorLabels" -}}
app.kubernetes.io/name: {{ include "roster.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The pods that serve, and not the Job or the test. */}}
{{- define "roster.serverLabels" -}}
{{ include "roster.selectorLabels" . }}
app.kubernetes.io/component: server
{{- end }}

{{- define "roster.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "roster.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: roster
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "roster.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "roster.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "roster.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whether PostgreSQL holds the data: "true" or nothing, as templates have no other truth to hand on. */}}
{{- define "roster.postgresql" -}}
{{- if eq .Values.database.kind "postgresql" }}true{{ end }}
{{- end }}

{{/* Whether Roster serves TLS. */}}
{{- define "roster.tls" -}}
{{- if .Values.tls.existingSecret }}true{{ end }}
{{- end }}

{{/* Whether there is a test. With TLS it would have to be told whom to trust. */}}
{{- define "roster.test" -}}
{{- if and .Values.test.enabled (not (include "roster.tls" .)) }}true{{ end }}
{{- end }}

{{/* How the kubelet asks, which has no TLS for gRPC. */}}
{{- define "roster.probes" -}}
{{- $type := .Values.probes.type }}
{{- if eq $type "auto" }}
{{- ternary "http" "grpc" (not (empty (include "roster.tls" .))) }}
{{- else }}
{{- $type }}
{{- end }}
{{- end }}

{{/* What a Service says of the gRPC port. */}}
{{- define "roster.appProtocol" -}}
{{- if include "roster.tls" . }}https{{ else }}kubernetes.io/h2c{{ end }}
{{- end }}

{{/* Whether the migrate Job brings the schema up. */}}
{{- define "roster.migrateJob" -}}
{{- if and (include "roster.postgresql" .) .Values.migrate.enabled }}true{{ end }}
{{- end }}

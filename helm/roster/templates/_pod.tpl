{{/* What the pods that serve and the migrate Job have in common. */}}

{{/* Settings of a pod but for its containers and volumes. */}}
{{- define "roster.podSettings" -}}
# Nothing here talks to Kubernetes.
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A container of Roster, but for its name and arguments. */}}
{{- define "roster.container" -}}
image: {{ include "roster.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  - name: ROSTER_CONFIG
    value: /etc/roster/config/roster.toml
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "roster.mounts" -}}
- name: config
  mountPath: /etc/roster/config
  readOnly: true
{{- if include "roster.secretSources" . }}
- name: secrets
  mountPath: /etc/roster/secrets
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The volumes behind these mounts: list of root and the name of the ConfigMap. */}}
{{- define "roster.volumes" -}}
{{- $root := index . 0 -}}
- name: config
  configMap:
    name: {{ index . 1 }}
{{- with include "roster.secretSources" $root }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- . | trim | nindent 6 }}
{{- end }}
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Every secret as a file of one folder. They are the operator's Secrets; the chart makes none. */}}
{{- define "roster.secretSources" -}}
{{- if include "roster.postgresql" . }}
{{ include "roster.secretSource" (list .Values.database.existingSecret .Values.database.key "database-url") }}
{{- end }}
{{- range .Values.links.keys }}
{{ include "roster.secretSource" (list .existingSecret .key (printf "link-key-%v" .id)) }}
{{- end }}
{{- with .Values.tls }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      - key: {{ .certificateKey }}
        path: tls.crt
      - key: {{ .keyKey }}
        path: tls.key
{{- end }}
{{- with .clientCA }}
{{- if .existingSecret }}
{{ include "roster.secretSource" (list .existingSecret .key "client-ca.crt") }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.mail.smtp }}
{{- if .existingSecret }}
{{ include "roster.secretSource" (list .existingSecret .key "smtp-password") }}
{{- end }}
{{- end }}
{{- with .Values.nats }}
{{- if and .existingSecret .urlKey }}
{{ include "roster.secretSource" (list .existingSecret .urlKey "nats-url") }}
{{- end }}
{{- if and .existingSecret .credentialsKey }}
{{ include "roster.secretSource" (list .existingSecret .credentialsKey "nats-credentials") }}
{{- end }}
{{- end }}
{{- end }}

{{/* A key of a Secret as a file: list of Secret, key, file. */}}
{{- define "roster.secretSource" -}}
- secret:
    name: {{ index . 0 }}
    items:
      - key: {{ index . 1 }}
        path: {{ index . 2 }}
{{- end }}

{{/* A probe: list of root, kind ("readiness" or "liveness"), name of its settings. */}}
{{- define "roster.probe" -}}
{{- $root := index . 0 }}
{{- $live := eq (index . 1) "liveness" -}}
{{- /* The port for calls answers once the schema is up to date, which may take its time; the admin port from the first moment. */ -}}
{{- if and (ne (index . 2) "startup") (eq (include "roster.probes" $root) "grpc") -}}
grpc:
  port: 50051
  {{- if $live }}
  service: roster.live
  {{- end }}
{{- else -}}
httpGet:
  port: admin
  path: {{ ternary "/livez" "/readyz" $live }}
{{- end }}
{{ toYaml (get $root.Values.probes (index . 2)) }}
{{- end }}

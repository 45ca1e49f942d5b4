{{/* What the schema of the values cannot say, since it depends on two of them. */}}

{{- define "roster.checks" -}}
{{- $auth := default dict .Values.config.auth }}
{{- if or (not $auth.mode) (eq $auth.mode "development") }}
{{- fail "config.auth.mode: has to be set, and not to \"development\", which lets everybody in: pods listen for others; see `roster token` for config.auth.tokens" }}
{{- end }}
{{- if include "roster.postgresql" . }}
{{- if not .Values.database.existingSecret }}
{{- fail "database.existingSecret: name the Secret that holds the URL of PostgreSQL, or set database.kind to sqlite" }}
{{- end }}
{{- if not .Values.links.keys }}
{{- fail "links.keys: name the Secret that holds a key; every replica must sign invitation links with the same one" }}
{{- end }}
{{- else }}
{{- if .Values.autoscaling.enabled }}
{{- fail "autoscaling.enabled: SQLite allows one pod" }}
{{- end }}
{{- if ne (int .Values.replicaCount) 1 }}
{{- fail "replicaCount: SQLite allows one pod; set it to 1" }}
{{- end }}
{{- if not .Values.persistence.enabled }}
{{- fail "persistence.enabled: has to be true with SQLite, whose data would be lost with the pod" }}
{{- end }}
{{- end }}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- fail "autoscaling.minReplicas: is more than maxReplicas" }}
{{- end }}
{{- if and .Values.tls.clientCA.existingSecret (not .Values.tls.existingSecret) }}
{{- fail "tls.existingSecret: is needed where client certificates are asked for" }}
{{- end }}
{{- if and (include "roster.tls" .) (eq .Values.probes.type "grpc") }}
{{- fail "probes.type: the kubelet cannot ask by gRPC with TLS; leave it at auto" }}
{{- end }}
{{- if and (include "roster.tls" .) .Values.envoy.enabled }}
{{- fail "envoy.enabled: it speaks to Roster within the pod and without TLS; give one of the two up" }}
{{- end }}
{{- $ports := list 50051 (int .Values.admin.port) }}
{{- if .Values.envoy.enabled }}
{{- $ports = concat $ports (list (int .Values.envoy.port) 9901) }}
{{- end }}
{{- if ne (len $ports) (len (uniq $ports)) }}
{{- fail (printf "admin.port, envoy.port: have to differ, and from 50051 and 9901: %v" $ports) }}
{{- end }}
{{- include "roster.checkGrace" . }}
{{- end }}

{{/* A pod that is killed before it has drained loses calls that it had let in. */}}
{{- define "roster.checkGrace" -}}
{{- $server := (include "roster.config" . | fromJson).server }}
{{- $delay := include "roster.milliseconds" (dict "key" "server.drain_delay" "text" $server.drain_delay) | int }}
{{- $drain := include "roster.milliseconds" (dict "key" "server.drain_timeout" "text" (default "20s" $server.drain_timeout)) | int }}
{{- $needed := add $delay $drain 10000 }}
{{- $given := mul (int .Values.terminationGracePeriodSeconds) 1000 }}
{{- if le $given $needed }}
{{- fail (printf "terminationGracePeriodSeconds: is %ds, and has to be more than server.drain_delay, server.drain_timeout and 10s together, which is %gs" (int .Values.terminationGracePeriodSeconds) (divf $needed 1000)) }}
{{- end }}
{{- end }}

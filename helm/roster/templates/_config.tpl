{{/* Roster's configuration file, made of `config` and of what follows from the other values. */}}

{{/* The whole configuration as JSON. */}}
{{- define "roster.config" -}}
{{- $config := deepCopy .Values.config }}
{{- range $section := list "server" "database" "links" "mail" "events" "telemetry" }}
{{- $_ := set $config $section (default dict (get $config $section)) }}
{{- end }}
{{- $_ := set $config.mail "smtp" (default dict $config.mail.smtp) }}
{{- $_ := set $config.events "nats" (default dict $config.events.nats) }}

{{- /* What suits Kubernetes better than the program's own defaults. */}}
{{- $_ := set $config "server" (merge $config.server (dict "drain_delay" "5s")) }}
{{- $_ := set $config "telemetry" (merge $config.telemetry (dict "log_format" "json")) }}

{{- /* What the chart alone decides. */}}
{{- include "roster.own" (list $config "data_dir" "data_dir" "/data") }}
{{- include "roster.own" (list $config.server "listen" "server.listen" (printf "%s:50051" .Values.bindAddress)) }}
{{- if include "roster.postgresql" . }}
{{- include "roster.own" (list $config.database "url_file" "database.url_file" (include "roster.secretFile" "database-url")) }}
{{- include "roster.own" (list $config.database "migrate_on_start" "database.migrate_on_start" (not .Values.migrate.enabled)) }}
{{- end }}
{{- include "roster.own" (list $config.telemetry "admin_listen" "telemetry.admin_listen" (printf "%s:%v" .Values.bindAddress .Values.admin.port)) }}
{{- $tls := dict }}
{{- with .Values.tls }}
{{- if .existingSecret }}
{{- $_ := set $tls "certificate_file" (include "roster.secretFile" "tls.crt") }}
{{- $_ := set $tls "key_file" (include "roster.secretFile" "tls.key") }}
{{- end }}
{{- if .clientCA.existingSecret }}
{{- $_ := set $tls "client_ca_file" (include "roster.secretFile" "client-ca.crt") }}
{{- end }}
{{- end }}
{{- include "roster.own" (list $config.server "tls" "server.tls" $tls) }}
{{- with .Values.links.keys }}
{{- $keys := list }}
{{- range . }}
{{- $keys = append $keys (dict "id" .id "secret_file" (include "roster.secretFile" (printf "link-key-%v" .id))) }}
{{- end }}
{{- include "roster.own" (list $config.links "keys" "links.keys" $keys) }}
{{- end }}
{{- if .Values.mail.smtp.existingSecret }}
{{- include "roster.own" (list $config.mail.smtp "password_file" "mail.smtp.password_file" (include "roster.secretFile" "smtp-password")) }}
{{- end }}
{{- if .Values.nats.existingSecret }}
{{- if .Values.nats.urlKey }}
{{- include "roster.own" (list $config.events.nats "url_file" "events.nats.url_file" (include "roster.secretFile" "nats-url")) }}
{{- end }}
{{- if .Values.nats.credentialsKey }}
{{- include "roster.own" (list $config.events.nats "credentials_file" "events.nats.credentials_file" (include "roster.secretFile" "nats-credentials")) }}
{{- end }}
{{- end }}
{{- toJson $config }}
{{- end }}

{{/* Sets a key that is not for `config` to set: list of table, key, its whole name, value. */}}
{{- define "roster.own" -}}
{{- if hasKey (index . 0) (index . 1) }}
{{- fail (printf "config.%s: the chart sets this; leave it out" (index . 2)) }}
{{- end }}
{{- $_ := set (index . 0) (index . 1) (index . 3) }}
{{- end }}

{{/* Where a secret is mounted; see roster.secretSources. */}}
{{- define "roster.secretFile" -}}
/etc/roster/secrets/{{ . }}
{{- end }}

{{/* The configuration as the TOML file that Roster reads. Helm's own toToml writes 20 as 20.0, which is another type. */}}
{{- define "roster.toml" -}}
{{- $config := include "roster.config" . | fromJson }}
{{- include "roster.tomlTable" (dict "table" $config "path" "") | trim }}
{{- end }}

{{/* A table: first its own values, then the lists of tables and the tables in it. */}}
{{- define "roster.tomlTable" -}}
{{- $path := .path }}
{{- $tables := list }}
{{- $lists := list }}
{{- $rows := list }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}
{{- if $value }}
{{- $tables = append $tables $key }}
{{- end }}
{{- else if and (kindIs "slice" $value) (kindIs "map" (first $value)) }}
{{- $lists = append $lists $key }}
{{- else if not (kindIs "invalid" $value) }}
{{- $rows = append $rows (printf "%s = %s" $key (include "roster.tomlValue" $value)) }}
{{- end }}
{{- end }}
{{- if $rows }}
{{- if $path }}
{{ printf "\n[%s]" $path }}
{{- end }}
{{- range $rows }}
{{ . }}
{{- end }}
{{- end }}
{{- range $key := $lists }}
{{- range get $.table $key }}
{{ printf "\n[[%s]]" (ternary $key (printf "%s.%s" $path $key) (empty $path)) }}
{{- range $key, $value := . }}
{{ $key }} = {{ include "roster.tomlValue" $value }}
{{- end }}
{{- end }}
{{- end }}
{{- range $tables }}
{{- include "roster.tomlTable" (dict "table" (get $.table .) "path" (ternary . (printf "%s.%s" $path .) (empty $path))) }}
{{- end }}
{{- end }}

{{/* A value inside of a table or a list. JSON's texts, numbers and truths are TOML's. */}}
{{- define "roster.tomlValue" -}}
{{- if kindIs "map" . }}
{{- $rows := list }}
{{- range $key, $value := . }}
{{- $rows = append $rows (printf "%s = %s" $key (include "roster.tomlValue" $value)) }}
{{- end }}
{{- printf "{ %s }" (join ", " $rows) }}
{{- else if kindIs "slice" . }}
{{- $rows := list }}
{{- range . }}
{{- $rows = append $rows (include "roster.tomlValue" .) }}
{{- end }}
{{- printf "[%s]" (join ", " $rows) }}
{{- else }}
{{- toRawJson . }}
{{- end }}
{{- end }}

{{/* A duration as Roster reads it ("1m 30s", "500ms"), in milliseconds. */}}
{{- define "roster.milliseconds" -}}
{{- $units := dict "ms" 1 "s" 1000 "sec" 1000 "second" 1000 "seconds" 1000 "m" 60000 "min" 60000 "minute" 60000 "minutes" 60000 }}
{{- $sum := 0 }}
{{- $text := .text | toString | nospace }}
{{- if not (regexMatch "^([0-9]+[a-z]+)+$" $text) }}
{{- fail (printf "config.%s: %q is not a duration such as \"20s\"" .key .text) }}
{{- end }}
{{- range regexFindAll "[0-9]+[a-z]+" $text -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- if not (hasKey $units $unit) }}
{{- fail (printf "config.%s: %q: give it in ms, s or m" $.key $.text) }}
{{- end }}
{{- $sum = add $sum (mul (regexFind "[0-9]+" . | atoi) (get $units $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

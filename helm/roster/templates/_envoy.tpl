{{/* The gateway's own configuration, gateway/envoy.yaml, which listens on loopback: here it has to be reached. Everything else
in it fits a pod as it stands, with Roster on 127.0.0.1:50051 and the descriptors in the working folder. */}}
{{- define "roster.envoy" -}}
{{- $text := .Files.Get "files/envoy.yaml" }}
{{- $local := "{address: 127.0.0.1, port_value: 8081}" }}
{{- if ne (len (splitList $local $text)) 2 }}
{{- fail (printf "files/envoy.yaml: %q is not in it exactly once" $local) }}
{{- end }}
{{- $text | replace $local (printf "{address: %q, port_value: %v}" (trimAll "[]" .Values.bindAddress) .Values.envoy.port) }}
{{- end }}

{{/* The configuration of the pipeline, as a dictionary. */}}
{{- define "gpu-rescue.pipeline" -}}
{{- $v := .Values }}
{{- $sources := list }}
{{- if $v.kafka.bootstrapServers }}
{{- $kafka := dict "type" "kafka" "bootstrap_servers" $v.kafka.bootstrapServers "topics" $v.kafka.topics "group_id" $v.kafka.groupId "start" $v.kafka.start "node_from_key" $v.kafka.nodeFromKey "dead_letter_file" "/var/lib/gpu-rescue/dead-letters.ndjson" }}
{{- with $v.kafka.sasl }}
{{- if .mechanism }}
{{- $_ := required "kafka.sasl.passwordSecret.name: name the Secret with the password" .passwordSecret.name }}
{{- $_ := set $kafka "sasl" (dict "mechanism" .mechanism "username" (required "kafka.sasl.username: say who we are" .username) "password_file" (printf "/etc/gpu-rescue/secrets/kafka-sasl/%s" .passwordSecret.key)) }}
{{- end }}
{{- end }}
{{- with $v.kafka.tls }}
{{- if .enabled }}
{{- $tls := dict }}
{{- if .secret }}{{ $_ := set $tls "ca" "/etc/gpu-rescue/secrets/kafka-tls/ca.crt" }}{{ end }}
{{- if .clientCertificate }}
{{- $_ := required "kafka.tls.secret: name the Secret with the client certificate" .secret }}
{{- $_ := set $tls "cert" "/etc/gpu-rescue/secrets/kafka-tls/tls.crt" }}
{{- $_ := set $tls "key" "/etc/gpu-rescue/secrets/kafka-tls/tls.key" }}
{{- end }}
{{- $_ := set $kafka "tls" $tls }}
{{- end }}
{{- end }}
{{- $sources = append $sources $kafka }}
{{- end }}
{{- if $v.nodeEvents.enabled }}
{{- $sources = append $sources (dict "type" "events" "reasons" $v.nodeEvents.reasons "namespace" (include "gpu-rescue.nodeEventsNamespace" .)) }}
{{- end }}
{{- if not $sources }}
{{- $_ := required "kafka.bootstrapServers: name the brokers from which kernel logs come ([HOST:9092]), or set nodeEvents.enabled" "" }}
{{- end }}
{{- $sink := dict }}
{{- if eq $v.records.type "elasticsearch" }}
{{- $es := $v.records.elasticsearch }}
{{- $_ := set $sink "type" "elasticsearch" }}
{{- if not $es.hosts }}{{ $_ := required "records.elasticsearch.hosts: name the servers ([https://es.example.com:9200])" "" }}{{ end }}
{{- $_ := set $sink "hosts" $es.hosts }}
{{- $_ := set $sink "data_stream" $es.dataStream }}
{{- if $es.auth.apiKeySecret.name }}
{{- $_ := set $sink "auth" (dict "api_key_file" (printf "/etc/gpu-rescue/secrets/elasticsearch-auth/%s" $es.auth.apiKeySecret.key)) }}
{{- else if $es.auth.username }}
{{- $_ := required "records.elasticsearch.auth.passwordSecret.name: name the Secret with the password" $es.auth.passwordSecret.name }}
{{- $_ := set $sink "auth" (dict "username" $es.auth.username "password_file" (printf "/etc/gpu-rescue/secrets/elasticsearch-auth/%s" $es.auth.passwordSecret.key)) }}
{{- end }}
{{- if $es.caSecret.name }}
{{- $_ := set $sink "tls" (dict "ca" (printf "/etc/gpu-rescue/secrets/elasticsearch-ca/%s" $es.caSecret.key)) }}
{{- end }}
{{- $_ := set $sink "dead_letters" "/var/lib/gpu-rescue/rescue-records-refused.ndjson" }}
{{- $_ := set $sink "spool" (dict "path" "/var/lib/gpu-rescue/spool/records" "max_bytes" 268435456) }}
{{- else }}
{{- $_ := set $sink "type" "file" }}
{{- $_ := set $sink "path" "/var/lib/gpu-rescue/rescue-records.ndjson" }}
{{- $_ := set $sink "keep" 2 }}
{{- end }}
{{- $managed := dict "sources" $sources "cluster" (dict "type" "kubernetes" "namespace" $v.namespace.name) "store" (dict "type" "kubernetes") "sinks" (list $sink) "dry_run" $v.dryRun "decision" $v.decision "events" (dict "language" $v.events.language "namespace" (include "gpu-rescue.eventsNamespace" .)) "api" (dict "listen" (printf "%s:%v" $v.api.address $v.api.port)) "log" (dict "level" $v.logLevel) }}
{{- $_ := set $managed "lease" (dict "name" (include "gpu-rescue.fullname" .)) }}
{{- if eq $v.rebooter.type "pod" }}
{{- $_ := set $managed "rebooter" (dict "type" "pod" "namespace" $v.namespace.name "image" (required "rebooter.image: name the image of the pod that reboots, such as busybox:1.37" $v.rebooter.image) "priority_class" ($v.rebooter.priorityClass | default nil)) }}
{{- end }}
{{- if $v.patterns }}{{ $_ := set $managed "patterns" (list "/etc/gpu-rescue/patterns") }}{{ end }}
{{- merge $managed (deepCopy $v.config) | toYaml }}
{{- end }}

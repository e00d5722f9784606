{{/* What a release of this chart is: its configuration, switches and places. */}}

{{- define "receive.push" -}}
{{- include "vis-receive.boolean" (list (.Values.results | default dict).push false) -}}
{{- end }}

{{- define "receive.sends" -}}
{{- include "vis-receive.boolean" (list (.Values.transmit | default dict).model true) -}}
{{- end }}

{{- define "receive.podMonitor" -}}
{{- $monitor := (.Values.monitoring | default dict).podMonitor | default dict -}}
{{- include "vis-receive.boolean" (list $monitor.enabled false) -}}
{{- end }}

{{/* The monitor's port as text; 0 is off. */}}
{{- define "receive.monitorPort" -}}
{{- include "vis-receive.text" (list (.Values.monitor | default dict).port 0) -}}
{{- end }}

{{/* "true" where the chart makes the token of POST /stop: a monitor, and no file of the user's. */}}
{{- define "receive.makesToken" -}}
{{- $monitor := .Values.monitor | default dict -}}
{{- if and (ne (include "receive.monitorPort" .) "0") (kindIs "invalid" $monitor.token_file) }}true{{ end -}}
{{- end }}

{{/* The model's path in the containers. */}}
{{- define "receive.datamodel" -}}
{{- if include "vis-receive.modelPull" . -}}
/model/{{ include "vis-receive.modelName" . }}
{{- else -}}
{{- include "vis-receive.text" (list (.Values.reception | default dict).datamodel "") -}}
{{- end -}}
{{- end }}

{{/* The name of the output without its extension. */}}
{{- define "receive.outputStem" -}}
{{- $output := include "vis-receive.text" (list (.Values.reception | default dict).outputfilename "recv-vis.ms") | base -}}
{{- trimSuffix (ext $output) $output -}}
{{- end }}

{{/* config.json */}}
{{- define "receive.config" -}}
{{- $reception := dict "process_count" (include "receive.processes" . | int) "datamodel" (include "receive.datamodel" .) -}}
{{- $given := .Values.reception | default dict -}}
{{- /* The sender of the pod is known: what others send is not taken. */ -}}
{{- if and (include "receive.sends" .) (kindIs "invalid" $given.sources) (not (include "vis-receive.text" (list $given.bind_hostname ""))) }}{{ $_ := set $reception "sources" (list "127.0.0.1" "::1") }}{{ end -}}
{{- $more := dict "reception" $reception -}}
{{- if not (kindIs "invalid" .Values.initContainersEnabled) -}}
{{- $_ := set $more "model" (dict "pull" (eq (include "vis-receive.modelPull" .) "true")) -}}
{{- end -}}
{{- if ne (include "receive.monitorPort" .) "0" -}}
{{- $monitor := dict "hosts" (include "receive.monitorHosts" . | fromJsonArray) -}}
{{- if include "receive.makesToken" . }}{{ $_ := set $monitor "token_file" "/etc/vis-receive-token/token" }}{{ end -}}
{{- $_ := set $more "monitor" $monitor -}}
{{- end -}}
{{- if include "vis-receive.commandConfig" . -}}
{{- /* emu-push wants to know that there is one; the receiver's own file comes after this one. */ -}}
{{- $_ := set $more "consumer" (dict "command" (list "(in the Secret)")) -}}
{{- end -}}
{{- $categories := list "reception" "consumer" "transmission" "reader" "payload" "model" "transmit" "results" "rclone" "monitor" "vys" -}}
{{- include "vis-receive.config" (dict "root" . "categories" $categories "more" $more) -}}
{{- end }}

{{/* By which names the monitor may be asked: those of the pods and of the Service, and the user's. */}}
{{- define "receive.monitorHosts" -}}
{{- $service := include "vis-receive.fullname" . -}}
{{- $namespaced := printf "%s.%s" $service .Release.Namespace -}}
{{- $hosts := list -}}
{{- range list $service $namespaced (printf "%s.svc" $namespaced) (printf "%s.svc.%s" $namespaced (.Values.clusterDomain | default "cluster.local")) -}}
{{- $hosts = concat $hosts (list . (printf "*.%s" .)) -}}
{{- end -}}
{{- concat $hosts (include "vis-receive.items" (.Values.monitor | default dict).hosts | fromJsonArray) | uniq | toJson -}}
{{- end }}

{{/* The token of POST /stop: the user's, else the one that is there, else a new one. */}}
{{- define "receive.token" -}}
{{- $secret := lookup "v1" "Secret" .Release.Namespace (include "vis-receive.fullname" .) | default dict -}}
{{- $old := get ($secret.data | default dict) "token" | b64dec -}}
{{- .Values.stopToken | default $old | default (randAlphaNum 32) -}}
{{- end }}

{{/*
The first and the last port that packets may come to, as a list in JSON. Pod INDEX has the ports of
its own streams; how many there are is known where reception.num_ports says it.
*/}}
{{- define "receive.ports" -}}
{{- $reception := .Values.reception | default dict -}}
{{- $first := include "vis-receive.text" (list $reception.port_start "") -}}
{{- $first = include "vis-receive.text" (list $reception.receiver_port_start $first) | default "41000" | int -}}
{{- $count := include "vis-receive.text" (list $reception.num_ports 0) | int -}}
{{- $last := ternary (sub (add $first $count) 1 | int) 65535 (gt $count 0) -}}
{{- if eq $first 0 }}{{ $first = 1024 }}{{ $last = 65535 }}{{ end -}}
{{- toJson (list $first (min $last 65535)) -}}
{{- end }}

{{- define "receive.protocol" -}}
{{- $transport := include "vis-receive.text" (list (.Values.reception | default dict).transport "udp") -}}
{{- ternary "TCP" "UDP" (eq $transport "tcp") -}}
{{- end }}

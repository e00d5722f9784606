{{/* Memory and devices of the receiver. */}}

{{/*
The receiver's resources: what the user says, and for memory, where nobody says, what
reception.buffer_memory needs. Its own default is a quarter of the limit, so the limit is four times
what is given; shared memory counts in the limit and is added.
*/}}
{{- define "receive.resources" -}}
{{- $given := deepCopy (.Values.resources | default dict) -}}
{{- $requests := $given.requests | default dict -}}
{{- $limits := $given.limits | default dict -}}
{{- $buffer := include "vis-receive.bytes" (.Values.reception | default dict).buffer_memory | int64 -}}
{{- $shared := include "vis-receive.bytes" (.Values.sharedMemory | default dict).size | int64 -}}
{{- if not (or (hasKey $requests "memory") (hasKey $limits "memory")) -}}
{{- $mebibytes := add (divf (add (max (mul 4 $buffer) 2147483648) $shared) 1048576 | ceil | int64) 0 -}}
{{- $_ := set $limits "memory" (printf "%dMi" $mebibytes) -}}
{{- $_ := set $requests "memory" (printf "%dMi" (div $mebibytes 2)) -}}
{{- else if not (hasKey $limits "memory") -}}
{{- $_ := set $limits "memory" $requests.memory -}}
{{- end -}}
{{- if not (or (hasKey $requests "cpu") (hasKey $limits "cpu")) -}}
{{- $_ := set $requests "cpu" "250m" -}}
{{- end -}}
{{- range $size, $amount := .Values.hugepages -}}
{{- $_ := set $limits (printf "hugepages-%s" $size) (include "vis-receive.text" (list $amount "")) -}}
{{- end -}}
{{- $_ := set $given "limits" $limits -}}
{{- $_ := set $given "requests" $requests -}}
{{- include "vis-receive.deviceResources" (dict "root" . "resources" $given) -}}
{{- end }}

{{/* The sender's; it needs the device too where it sends by RDMA. */}}
{{- define "receive.senderUsesDevice" -}}
{{- $transmission := .Values.transmission | default dict -}}
{{- if or (eq (toString $transmission.transport) "ibverbs") (eq (toString $transmission.method) "vys") }}true{{ end -}}
{{- end }}

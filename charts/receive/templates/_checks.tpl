{{/* Values that each are accepted, but not together. One sentence each: what, and what instead. */}}

{{/* Receiver pods; `replicas` is an old name. */}}
{{- define "receive.processes" -}}
{{- $processes := include "vis-receive.text" (list .Values.processes 1) | int -}}
{{- $old := include "vis-receive.text" (list .Values.replicas "") -}}
{{- if $old -}}
{{- if and (ne $processes 1) (ne $processes (int $old)) -}}
{{- fail "replicas, an old name of processes, contradicts processes: remove replicas" -}}
{{- end -}}
{{- $processes = int $old -}}
{{- end -}}
{{- if lt $processes 1 }}{{ fail "processes must be 1 or more" }}{{ end -}}
{{- $processes -}}
{{- end }}

{{/* The claim that is there already; `pvc.name` is an old name. */}}
{{- define "receive.existingClaim" -}}
{{- $storage := .Values.storage | default dict -}}
{{- $old := (.Values.pvc | default dict).name | default "" -}}
{{- if and $storage.existingClaim $old (ne $storage.existingClaim $old) -}}
{{- fail "pvc.name, an old name of storage.existingClaim, contradicts storage.existingClaim: remove pvc.name" -}}
{{- end -}}
{{- $storage.existingClaim | default $old -}}
{{- end }}

{{- define "receive.checks" -}}
{{- include "vis-receive.oldNames" . -}}
{{- include "receive.checkName" . -}}
{{- include "receive.checkModel" . -}}
{{- include "receive.checkResults" . -}}
{{- include "receive.checkStorage" . -}}
{{- include "receive.checkMonitor" . -}}
{{- $_ := include "vis-receive.proxyUrl" . -}}
{{- end }}

{{- define "receive.checkName" -}}
{{- $last := printf "%s-%d" (include "vis-receive.fullname" .) (sub (include "receive.processes" . | int) 1) -}}
{{- if gt (len $last) 63 -}}
{{- fail (printf "the pod's host name %q is longer than 63 characters: set a shorter fullnameOverride" $last) -}}
{{- end -}}
{{- $reception := .Values.reception | default dict -}}
{{- if not (kindIs "invalid" $reception.process_index) -}}
{{- fail "reception.process_index comes from the pod's own index: remove it" -}}
{{- end -}}
{{- if not (kindIs "invalid" $reception.process_count) -}}
{{- fail "reception.process_count comes from processes: remove it and set processes" -}}
{{- end -}}
{{- end }}

{{- define "receive.checkModel" -}}
{{- $given := include "vis-receive.text" (list (.Values.reception | default dict).datamodel "") -}}
{{- if include "vis-receive.modelPull" . -}}
{{- $fetched := printf "/model/%s" (include "vis-receive.modelName" .) -}}
{{- if and $given (ne $given $fetched) -}}
{{- fail (printf "reception.datamodel is %s and model.pull fetches %s: remove reception.datamodel, or set model.pull=false to use a set of your own volume" $given $fetched) -}}
{{- end -}}
{{- else if not $given -}}
{{- fail "model.pull is false and there is no reception.datamodel: set it to the path of a Measurement Set on a volume of extraVolumes and extraVolumeMounts" -}}
{{- end -}}
{{- end }}

{{- define "receive.checkResults" -}}
{{- $rclone := .Values.rclone | default dict -}}
{{- if include "receive.push" . -}}
{{- $to := include "vis-receive.text" (list $rclone.command "") -}}
{{- $url := include "vis-receive.text" (list $rclone.configurl "") -}}
{{- $secret := include "vis-receive.text" (list $rclone.secret "") -}}
{{- if not $to -}}
{{- fail "results.push is true and there is no rclone.command: set it to the destination, REMOTE:PATH" -}}
{{- end -}}
{{- if and $url $secret -}}
{{- fail "rclone.configurl and rclone.secret are both given: remove one of them" -}}
{{- end -}}
{{- $anonymous := include "vis-receive.boolean" (list $rclone.anonymous false) -}}
{{- if not (or $url $secret $anonymous .Values.extraEnv (hasPrefix ":" $to) (hasPrefix "/" $to)) -}}
{{- fail (printf "nothing says what the remote of rclone.command %s is: set rclone.configurl or rclone.secret, or rclone.anonymous=true" (ternary "(hidden)" $to (eq (include "vis-receive.destinationIsSecret" .) "true"))) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "receive.checkStorage" -}}
{{- $storage := .Values.storage | default dict -}}
{{- $claim := include "receive.existingClaim" . -}}
{{- if and $claim $storage.size -}}
{{- fail "storage.existingClaim and storage.size are both given: the former takes a claim that is there, the latter makes one; remove one of them" -}}
{{- end -}}
{{- if and $storage.emptyDir (or $claim $storage.size) -}}
{{- fail "storage.emptyDir is given and so is a claim: remove storage.emptyDir, or storage.existingClaim and storage.size" -}}
{{- end -}}
{{- if and (include "vis-receive.boolean" (list $storage.ephemeral false)) (not $storage.size) -}}
{{- fail "storage.ephemeral makes a claim for each pod and there is no storage.size: set storage.size" -}}
{{- end -}}
{{- end }}

{{- define "receive.checkMonitor" -}}
{{- if not (regexMatch "^[!-~]*$" (.Values.stopToken | default "")) -}}
{{- fail "stopToken holds more than a token: set it to letters, digits and signs of ASCII, without blanks" -}}
{{- end -}}
{{- $monitor := .Values.monitor | default dict -}}
{{- $monitoring := .Values.monitoring | default dict -}}
{{- if eq (include "receive.monitorPort" .) "0" -}}
{{- if or (include "vis-receive.boolean" (list $monitoring.annotations false)) (include "receive.podMonitor" .) -}}
{{- fail "monitoring reads metrics and monitor.port is 0, which is off: set monitor.port, or monitoring.annotations and monitoring.podMonitor.enabled to false" -}}
{{- end -}}
{{- else if has (include "vis-receive.text" (list $monitor.bind_hostname "0.0.0.0")) (list "127.0.0.1" "::1" "localhost") -}}
{{- fail (printf "monitor.bind_hostname is %s, where the probes cannot reach it: set it to 0.0.0.0, or monitor.port to 0" $monitor.bind_hostname) -}}
{{- end -}}
{{- end }}

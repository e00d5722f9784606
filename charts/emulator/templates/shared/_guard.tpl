{{/* What a running observation cannot have changed. The same file is in both charts. */}}

{{/*
Refuses an upgrade that would change the Job that is there: a dict of root and checksum, the sha256
of everything in it that may not change. Credentials are compared with those in the Secret, so that
no object shows a checksum that they could be guessed by. Where the cluster cannot be asked (helm
template) nothing is found and nothing refused.
*/}}
{{- define "vis-receive.guard" -}}
{{- $root := .root -}}
{{- $name := include "vis-receive.fullname" $root -}}
{{- $namespace := $root.Release.Namespace -}}
{{- $job := lookup "batch/v1" "Job" $namespace $name -}}
{{- $undo := printf "uninstall first, or choose another name (helm uninstall %s -n %s)" $root.Release.Name $namespace -}}
{{- if $job -}}
{{- $annotations := $job.metadata.annotations | default dict -}}
{{- if eq (get $annotations "meta.helm.sh/release-name") $root.Release.Name -}}
{{- $changed := ne (get $annotations "vis-receive/checksum") .checksum -}}
{{- $secret := lookup "v1" "Secret" $namespace $name -}}
{{- if $secret -}}
{{- $data := $secret.data | default dict -}}
{{- if ne (get $data "config.json" | b64dec) (include "vis-receive.secretConfig" $root) }}{{ $changed = true }}{{ end -}}
{{- if ne (get $data "command.json" | b64dec) (include "vis-receive.commandConfig" $root) }}{{ $changed = true }}{{ end -}}
{{- $proxy := ternary (include "vis-receive.proxyUrl" $root) "" (eq (include "vis-receive.proxyIsSecret" $root) "true") -}}
{{- if ne (get $data "proxy" | b64dec) $proxy }}{{ $changed = true }}{{ end -}}
{{- end -}}
{{- if $changed -}}
{{- $state := "is running" -}}
{{- range ($job.status | default dict).conditions -}}
{{- if and (has .type (list "Complete" "Failed")) (eq .status "True") }}{{ $state = "is over" }}{{ end -}}
{{- end -}}
{{- fail (printf "observation %s %s, and its configuration cannot be changed any more: %s" $name $state $undo) -}}
{{- end -}}
{{- end -}}
{{- else if $root.Release.IsUpgrade -}}
{{- if lookup "v1" "ConfigMap" $namespace $name -}}
{{- fail (printf "the Job of observation %s is gone, and an upgrade would begin the observation anew: %s" $name $undo) -}}
{{- end -}}
{{- end -}}
{{- end }}

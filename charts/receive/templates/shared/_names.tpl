{{/* Names and labels. The same file is in both charts; see receive/charts/__main__.py. */}}

{{/* The name of everything in the release: pod host names, and so receive addresses, come of it. */}}
{{- define "vis-receive.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- fail (printf "the name %q cannot be that of a Service; a name has lower-case letters, digits and dashes, begins with a letter and does not end with a dash: set fullnameOverride" $name) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* Labels that never change for a release: selectors and pods have these alone. */}}
{{- define "vis-receive.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Labels of every object; a list of the root and the component. */}}
{{- define "vis-receive.labels" -}}
{{- $root := index . 0 -}}
{{ include "vis-receive.selectorLabels" $root }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- range $name, $value := $root.Values.labels }}
{{ $name }}: {{ include "vis-receive.text" (list $value "") | quote }}
{{- end }}
{{- end }}

{{- define "vis-receive.serviceAccountName" -}}
{{- $account := .Values.serviceAccount | default dict -}}
{{- $made := include "vis-receive.boolean" (list $account.create true) -}}
{{- $account.name | default (ternary (include "vis-receive.fullname" .) "default" (eq $made "true")) -}}
{{- end }}

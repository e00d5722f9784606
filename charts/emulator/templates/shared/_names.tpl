{{/* Names and labels. The same file is in both charts; see generate/charts/files.py. */}}

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
app.kubernetes.io/name: {{ .Chart.Name | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Labels that a user gives, beside the chart's own; a list of them and where they are given. */}}
{{- define "vis-receive.givenLabels" -}}
{{- $where := index . 1 -}}
{{- range $name, $value := index . 0 }}
{{- if has $name (list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart") -}}
{{- fail (printf "%s.%s is a label of the chart's own: remove it" $where $name) -}}
{{- end }}
{{ $name | quote }}: {{ include "vis-receive.exact" $value | quote }}
{{- end }}
{{- end }}

{{/* Labels of every object; a list of the root, the component, and more that go before `labels`. */}}
{{- define "vis-receive.labels" -}}
{{- $root := index . 0 -}}
{{- $more := dict -}}
{{- if gt (len .) 2 }}{{ $more = index . 2 }}{{ end -}}
{{ include "vis-receive.selectorLabels" $root }}
app.kubernetes.io/component: {{ index . 1 | quote }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | quote }}
{{- include "vis-receive.givenLabels" (list (merge (dict) $more ($root.Values.labels | default dict)) "labels") }}
{{- end }}

{{- define "vis-receive.serviceAccountName" -}}
{{- $account := .Values.serviceAccount | default dict -}}
{{- $made := include "vis-receive.boolean" (list $account.create true) -}}
{{- $account.name | default (ternary (include "vis-receive.fullname" .) "default" (eq $made "true")) -}}
{{- end }}

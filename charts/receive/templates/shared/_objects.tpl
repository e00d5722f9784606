{{/* Objects that both charts make in the same way. The same file is in both charts. */}}

{{/* metadata of an object; a list of the root, the component, a suffix of the name, further labels. */}}
{{- define "vis-receive.metadata" -}}
{{- $root := index . 0 -}}
name: {{ printf "%s%s" (include "vis-receive.fullname" $root) (index . 2) | quote }}
namespace: {{ $root.Release.Namespace | quote }}
labels:
  {{- include "vis-receive.labels" (list $root (index . 1) (index (append . (dict)) 3)) | nindent 2 }}
{{- end }}

{{/* The service account; a list of the root and the component. */}}
{{- define "vis-receive.serviceAccount" -}}
{{- $root := index . 0 -}}
{{- $account := $root.Values.serviceAccount | default dict -}}
{{- if include "vis-receive.boolean" (list $account.create true) -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "vis-receive.serviceAccountName" $root | quote }}
  namespace: {{ $root.Release.Namespace | quote }}
  labels:
    {{- include "vis-receive.labels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations: {{ include "vis-receive.texts" . }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end }}

{{/* Keys of the Secret that both charts have: credentials of the configuration and the proxy. */}}
{{- define "vis-receive.secretData" -}}
config.json: {{ include "vis-receive.secretConfig" . | b64enc | quote }}
{{- if include "vis-receive.proxyIsSecret" . }}
proxy: {{ include "vis-receive.proxyUrl" . | b64enc | quote }}
{{- end }}
{{- end }}

{{/* How long a Job may take, and when it is removed. */}}
{{- define "vis-receive.jobDeadlines" -}}
{{- with include "vis-receive.text" (list .Values.activeDeadlineSeconds "") }}
activeDeadlineSeconds: {{ . }}
{{- end }}
{{- with include "vis-receive.text" (list .Values.ttlSecondsAfterFinished "") }}
ttlSecondsAfterFinished: {{ . }}
{{- end }}
{{- end }}

{{/* Values of older charts that mean nothing here. */}}
{{- define "vis-receive.oldNames" -}}
{{- if not (kindIs "invalid" .Values.workflow) -}}
{{- fail "workflow means nothing to this chart, which is told its work by its values: remove workflow" -}}
{{- end -}}
{{- end }}

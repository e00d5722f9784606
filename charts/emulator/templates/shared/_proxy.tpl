{{/* The way out: proxy and certificates, for the containers that reach out. In both charts. */}}

{{/* The proxy's URL; nothing where none is used. */}}
{{- define "vis-receive.proxyUrl" -}}
{{- $proxy := .Values.proxy | default dict -}}
{{- if include "vis-receive.boolean" (list $proxy.use false) -}}
{{- $server := include "vis-receive.text" (list $proxy.server "") -}}
{{- if not $server -}}
{{- fail "proxy.use is true and there is no proxy.server: set proxy.server to host:port or a URL" -}}
{{- end -}}
{{- if regexMatch "[\\s\\x00-\\x1f\\x7f]" $server -}}
{{- fail "proxy.server holds a blank: set it to host:port or a URL" -}}
{{- end -}}
{{- contains "://" $server | ternary $server (printf "http://%s" $server) -}}
{{- end -}}
{{- end }}

{{/* "true" where the proxy's URL holds a user, and so is kept in the Secret. */}}
{{- define "vis-receive.proxyIsSecret" -}}
{{- if contains "@" (include "vis-receive.proxyUrl" .) }}true{{ end -}}
{{- end }}

{{/*
What is reached without the proxy: this pod, the cluster's own names, the API server, and what the
user adds. Names and suffixes beside ranges, since Python's urllib ignores ranges.
*/}}
{{- define "vis-receive.noProxy" -}}
{{- $domain := .Values.clusterDomain | default "cluster.local" -}}
{{- $all := list "localhost" "127.0.0.1" "127.0.0.0/8" "::1" ".svc" (printf ".svc.%s" $domain) (printf ".%s" $domain) (printf ".%s" .Release.Namespace) "$(KUBERNETES_SERVICE_HOST)" -}}
{{- range include "vis-receive.items" (.Values.proxy | default dict).noproxy | fromJsonArray -}}
{{- $all = append $all (include "vis-receive.verbatim" .) -}}
{{- end -}}
{{- $all | uniq | join "," -}}
{{- end }}

{{/* Both cases: curl reads http_proxy alone, others HTTP_PROXY. */}}
{{- define "vis-receive.proxyEnv" -}}
{{- $url := include "vis-receive.proxyUrl" . -}}
{{- if $url -}}
{{- $root := . -}}
{{- $noProxy := include "vis-receive.noProxy" . -}}
{{- range list "http_proxy" "https_proxy" "HTTP_PROXY" "HTTPS_PROXY" }}
- name: {{ . }}
  {{- if include "vis-receive.proxyIsSecret" $root }}
  valueFrom:
    secretKeyRef:
      name: {{ include "vis-receive.fullname" $root | quote }}
      key: proxy
  {{- else }}
  value: {{ include "vis-receive.verbatim" $url | quote }}
  {{- end }}
{{- end }}
{{- range list "no_proxy" "NO_PROXY" }}
- name: {{ . }}
  value: {{ $noProxy | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* "true" where certificates are given. */}}
{{- define "vis-receive.hasCa" -}}
{{- $bundle := .Values.caBundle | default dict -}}
{{- if and $bundle.configMap $bundle.secret -}}
{{- fail "caBundle.configMap and caBundle.secret are both given: remove one of them" -}}
{{- end -}}
{{- if or $bundle.configMap $bundle.secret }}true{{ end -}}
{{- end }}

{{- define "vis-receive.caEnv" -}}
{{- if include "vis-receive.hasCa" . }}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" "CURL_CA_BUNDLE" }}
- name: {{ . }}
  value: /etc/vis-receive-ca/ca.crt
{{- end }}
{{- end }}
{{- end }}

{{- define "vis-receive.caMount" -}}
{{- if include "vis-receive.hasCa" . }}
- name: ca
  mountPath: /etc/vis-receive-ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "vis-receive.caVolume" -}}
{{- if include "vis-receive.hasCa" . }}
{{- $bundle := .Values.caBundle }}
{{- $items := list (dict "key" ($bundle.key | default "ca.crt") "path" "ca.crt") }}
- name: ca
  {{- if $bundle.secret }}
  secret:
    secretName: {{ $bundle.secret | quote }}
    items: {{ include "vis-receive.json" $items }}
  {{- else }}
  configMap:
    name: {{ $bundle.configMap | quote }}
    items: {{ include "vis-receive.json" $items }}
  {{- end }}
{{- end }}
{{- end }}

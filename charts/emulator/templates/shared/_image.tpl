{{/* Images; a map, or a plain text as older callers give it. The same file is in both charts. */}}

{{/* The image of a list of the root and its value's name, image or pushImage. */}}
{{- define "vis-receive.image" -}}
{{- $root := index . 0 -}}
{{- $image := index $root.Values (index . 1) -}}
{{- $tag := include "vis-receive.text" (list $root.Values.version $root.Chart.AppVersion) -}}
{{- if kindIs "map" $root.Values.image -}}
{{- $tag = include "vis-receive.text" (list $root.Values.image.tag $tag) -}}
{{- end -}}
{{- if kindIs "string" $image -}}
{{- if regexMatch "(@|:[^/]*$)" $image }}{{ $image }}{{ else }}{{ $image }}:{{ $tag }}{{ end -}}
{{- else -}}
{{- if not $image.repository }}{{ fail (printf "%s.repository is empty: set it to the image's name" (index . 1)) }}{{ end -}}
{{- if $image.digest -}}
{{- $image.repository }}@{{ $image.digest -}}
{{- else -}}
{{- $image.repository }}:{{ include "vis-receive.text" (list $image.tag $tag) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* When it is pulled; nothing, Kubernetes' own choice, where nobody says. */}}
{{- define "vis-receive.pullPolicy" -}}
{{- $root := index . 0 -}}
{{- $policy := "" -}}
{{- range list "image" (index . 1) | uniq -}}
{{- $image := index $root.Values . -}}
{{- if kindIs "map" $image }}{{ $policy = $image.pullPolicy | default $policy }}{{ end -}}
{{- end -}}
{{- $policy -}}
{{- end }}

{{/*
The image of a container that uses the RDMA device, where it is one of its own: a program with a
capability of its file runs nowhere but where the capability is given, so not in the others.
*/}}
{{- define "vis-receive.deviceImage" -}}
{{- $rdma := .root.Values.rdma | default dict -}}
{{- if and .device (include "vis-receive.boolean" (list $rdma.enabled false)) }}{{ $rdma.image }}{{ end -}}
{{- end }}

{{/*
The first lines of a container: image, policies, security context. Of a container that failed
`kubectl describe pod` shows the end of its log, which is the line that says why.
*/}}
{{- define "vis-receive.containerHead" -}}
image: {{ include "vis-receive.deviceImage" . | default (include "vis-receive.image" (list .root .image)) | quote }}
{{- with include "vis-receive.pullPolicy" (list .root .image) }}
imagePullPolicy: {{ . | quote }}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext: {{ include "vis-receive.containerSecurity" (list .root .device (.transport | default "")) }}
{{- end }}

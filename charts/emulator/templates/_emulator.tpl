{{/* What a release of this chart is: its configuration and its one container. */}}

{{- define "emulator.config" -}}
{{- $more := dict -}}
{{- if not (kindIs "invalid" .Values.initContainersEnabled) -}}
{{- $_ := set $more "model" (dict "pull" (eq (include "vis-receive.modelPull" .) "true")) -}}
{{- end -}}
{{- $categories := list "transmission" "reader" "payload" "model" "reception" "vys" -}}
{{- include "vis-receive.config" (dict "root" . "categories" $categories "more" $more) -}}
{{- end }}

{{/* Values that each are accepted, but not together. */}}
{{- define "emulator.checks" -}}
{{- include "vis-receive.oldNames" . -}}
{{- $_ := include "vis-receive.proxyUrl" . -}}
{{- $transmission := .Values.transmission | default dict -}}
{{- $endpoints := $transmission.endpoints -}}
{{- if kindIs "slice" $endpoints }}{{ $endpoints = without $endpoints "" }}{{ end -}}
{{- if not (or $endpoints (include "vis-receive.text" (list $transmission.target_host ""))) -}}
{{- fail "nothing says where to send to: set transmission.endpoints, such as {receive-0.receive:41000}, or transmission.target_host" -}}
{{- end -}}
{{- if and (not (include "vis-receive.modelPull" .)) (not (hasPrefix "/" (include "vis-receive.modelName" .))) -}}
{{- fail "model.pull is false: set model.name to the path of a Measurement Set on a volume of extraVolumes and extraVolumeMounts" -}}
{{- end -}}
{{- end }}

{{- define "emulator.set" -}}
{{- $name := include "vis-receive.modelName" . -}}
{{- ternary (printf "/model/%s" $name) $name (eq (include "vis-receive.modelPull" .) "true") | include "vis-receive.verbatim" -}}
{{- end }}

{{- define "emulator.podTemplate" -}}
metadata:
  labels:
    {{- include "vis-receive.podLabels" (list . "sender") | nindent 4 }}
  annotations: {{ include "vis-receive.podAnnotations" (dict "root" . "more" (dict "kubectl.kubernetes.io/default-container" "sender" "cluster-autoscaler.kubernetes.io/safe-to-evict" "false")) }}
spec:
  {{- include "vis-receive.podSettings" . | nindent 2 }}
  {{- if include "vis-receive.modelPull" . }}
  initContainers:
    {{- include "vis-receive.modelContainer" . | nindent 4 }}
  {{- end }}
  containers:
    - name: sender
      {{- include "vis-receive.containerHead" (dict "root" . "image" "image" "device" true "transport" (.Values.transmission | default dict).transport) | nindent 6 }}
      workingDir: /tmp
      command:
        - emu-send
        - -c
        - /etc/vis-receive/config.json
        - --wait-hosts
        - {{ include "vis-receive.text" (list .Values.waitForReceivers 300) | quote }}
        - {{ include "emulator.set" . | quote }}
      env:
        {{- include "vis-receive.env" . | nindent 8 }}
      resources: {{ include "vis-receive.deviceResources" (dict "root" . "resources" .Values.resources) }}
      volumeMounts:
        {{- include "vis-receive.mounts" (list . "sender") | nindent 8 }}
        - name: model
          mountPath: /model
          readOnly: true
  volumes:
    {{- include "vis-receive.volumes" . | nindent 4 }}
{{- end }}

{{/* The pod of the Job: a template of its own, since its checksum guards a running observation. */}}

{{- define "receive.podTemplate" -}}
{{- $name := include "vis-receive.fullname" . -}}
metadata:
  labels:
    {{- include "vis-receive.podLabels" (list . "receiver") | nindent 4 }}
  annotations: {{ include "vis-receive.podAnnotations" (dict "root" . "more" (include "receive.annotations" . | fromYaml)) }}
spec:
  subdomain: {{ $name | quote }}
  {{- include "vis-receive.podSettings" . | nindent 2 }}
  {{- if include "vis-receive.modelPull" . }}
  initContainers:
    {{- include "vis-receive.modelContainer" . | nindent 4 }}
  {{- end }}
  containers:
    {{- include "receive.receiverContainer" . | nindent 4 }}
    {{- if include "receive.sends" . }}
    {{- include "receive.senderContainer" . | nindent 4 }}
    {{- end }}
    {{- if include "receive.push" . }}
    {{- include "receive.pushContainer" . | nindent 4 }}
    {{- end }}
    {{- with include "vis-receive.listed" .Values.extraContainers }}{{ trim . | nindent 4 }}{{ end }}
  volumes:
    {{- include "vis-receive.volumes" . | nindent 4 }}
    - name: run
      emptyDir: {}
    {{- include "receive.resultsVolume" . | nindent 4 }}
    {{- if include "vis-receive.commandConfig" . }}
    - name: command
      secret:
        secretName: {{ $name }}
        items: [{key: command.json, path: command.json}]
    {{- end }}
    {{- if include "receive.makesToken" . }}
    - name: token
      secret:
        secretName: {{ $name | quote }}
        items: [{key: token, path: token}]
    {{- end }}
    {{- if include "receive.push" . }}
    - name: push
      emptyDir: {medium: Memory, sizeLimit: 16Mi}
    {{- with include "vis-receive.text" (list (.Values.rclone | default dict).secret "") }}
    - name: rclone
      secret:
        secretName: {{ . | quote }}
        items: [{key: rclone.conf, path: rclone.conf}]
    {{- end }}
    {{- end }}
    {{- with (.Values.sharedMemory | default dict).size }}
    - name: shared-memory
      emptyDir:
        medium: Memory
        sizeLimit: {{ include "vis-receive.text" (list . "") | quote }}
    {{- end }}
    {{- if .Values.hugepages }}
    - name: hugepages
      emptyDir:
        medium: {{ ternary (printf "HugePages-%s" (keys .Values.hugepages | first)) "HugePages" (eq (len .Values.hugepages) 1) | quote }}
    {{- end }}
{{- end }}

{{/* An autoscaler that empties a node must not end an observation. */}}
{{- define "receive.annotations" -}}
kubectl.kubernetes.io/default-container: receiver
cluster-autoscaler.kubernetes.io/safe-to-evict: "false"
{{- if include "vis-receive.boolean" (list (.Values.monitoring | default dict).annotations false) }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ include "receive.monitorPort" . | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end }}

{{- define "receive.resultsVolume" -}}
{{- $storage := .Values.storage | default dict -}}
{{- $claim := include "receive.sharedClaim" . -}}
- name: results
  {{- if $claim }}
  persistentVolumeClaim:
    claimName: {{ $claim | quote }}
  {{- else if $storage.size }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        {{- include "receive.claimSpec" (dict "storage" $storage "modes" (list "ReadWriteOnce")) | nindent 8 }}
  {{- else }}
  emptyDir: {{ include "vis-receive.json" ($storage.emptyDir | default dict) }}
  {{- end }}
{{- end }}

{{- define "receive.claimSpec" -}}
accessModes: {{ include "vis-receive.json" (.storage.accessModes | default .modes) }}
{{- with .storage.storageClass }}
storageClassName: {{ . | quote }}
{{- end }}
resources:
  requests:
    storage: {{ include "vis-receive.text" (list .storage.size "") | quote }}
{{- end }}

{{/* What ends an index for good, and what does not count. */}}
{{- define "receive.failurePolicy" -}}
rules:
  # Evicted, drained, preempted: a new pod, and not an attempt less.
  - action: Ignore
    onPodConditions:
      - type: DisruptionTarget
        status: "True"
  # A wrong configuration does not get better; and with 10 push has tried for long enough itself.
  {{- range $container, $codes := include "receive.hopeless" . | fromYaml }}
  - action: FailIndex
    onExitCodes:
      containerName: {{ $container }}
      operator: In
      values: {{ toJson $codes }}
  {{- end }}
{{- end }}

{{/* Exit codes after which no further attempt is made, of the containers that there are. */}}
{{- define "receive.hopeless" -}}
receiver: [2]
{{- if include "vis-receive.modelPull" . }}
model: [2]
{{- end }}
{{- if include "receive.sends" . }}
sender: [2]
{{- end }}
{{- if include "receive.push" . }}
push: [2, 10]
{{- end }}
{{- end }}

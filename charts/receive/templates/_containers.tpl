{{/* The containers of a receiver's pod. Commands are lists: nothing passes through a shell. */}}

{{- define "receive.receiverContainer" -}}
{{- $port := include "receive.monitorPort" . -}}
- name: receiver
  {{- include "vis-receive.containerHead" (dict "root" . "image" "image" "device" true "transport" (.Values.reception | default dict).transport) | nindent 2 }}
  workingDir: /results
  command:
    - emu-recv
    - -c
    - /etc/vis-receive/config.json
    {{- if include "vis-receive.commandConfig" . }}
    - -c
    - /etc/vis-receive-command/command.json
    {{- end }}
    - -o
    - reception.process_index=$(VIS_RECEIVE_INDEX)
    - --run-folder
    - /run/vis-receive
    - --next-attempt
    - --summary-file
    - {{ printf "/results/%s.summary.json" (include "receive.outputStem" .) | include "vis-receive.verbatim" | quote }}
  env:
    {{- include "vis-receive.env" . | nindent 4 }}
  {{- with include "receive.ports.list" . }}{{ trim . | nindent 2 }}{{ end }}
  {{- if ne $port "0" }}
  {{- include "receive.probes" . | nindent 2 }}
  {{- end }}
  resources: {{ include "receive.resources" . }}
  volumeMounts:
    {{- include "vis-receive.mounts" (list . "receiver") | nindent 4 }}
    {{- if include "vis-receive.commandConfig" . }}
    - name: command
      mountPath: /etc/vis-receive-command
      readOnly: true
    {{- end }}
    {{- if include "receive.makesToken" . }}
    - name: token
      mountPath: /etc/vis-receive-token
      readOnly: true
    {{- end }}
    - name: model
      mountPath: /model
      readOnly: true
    - name: run
      mountPath: /run/vis-receive
    {{- include "receive.resultsMount" . | nindent 4 }}
    {{- if (.Values.sharedMemory | default dict).size }}
    - name: shared-memory
      mountPath: {{ .Values.sharedMemory.mountPath | default "/dev/shm" | quote }}
    {{- end }}
    {{- if .Values.hugepages }}
    - name: hugepages
      mountPath: /dev/hugepages
    {{- end }}
{{- end }}

{{/* Ports are for those who read the pod: those of the streams are listed where they are known. */}}
{{- define "receive.ports.list" -}}
{{- $port := include "receive.monitorPort" . -}}
{{- $count := include "vis-receive.text" (list (.Values.reception | default dict).num_ports 0) | int -}}
{{- $streams := and (gt $count 0) (le $count 64) -}}
{{- if or (ne $port "0") $streams }}
ports:
  {{- if ne $port "0" }}
  - name: monitor
    containerPort: {{ $port }}
    protocol: TCP
  {{- end }}
  {{- if $streams }}
  {{- $first := index (include "receive.ports" . | fromJsonArray) 0 | int }}
  {{- range $i := until $count }}
  - name: stream-{{ $i }}
    containerPort: {{ add $first $i }}
    protocol: {{ include "receive.protocol" $ }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
Started is ready: a receiver that hangs before packets can come is ended when push gives up too, and
soon, since it has nothing to close yet. A busy receiver may be slow to answer, so only two silent
minutes count as dead.
*/}}
{{- define "receive.probes" -}}
{{- $timeout := include "vis-receive.text" (list (.Values.results | default dict).start_timeout 300) | float64 -}}
startupProbe:
  httpGet: {path: /readyz, port: monitor}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: {{ max 1 (divf $timeout 2 | ceil | int) }}
  terminationGracePeriodSeconds: {{ include "vis-receive.text" (list .Values.terminationGracePeriodSeconds 30) | int | min 10 | max 1 }}
readinessProbe:
  httpGet: {path: /readyz, port: monitor}
  periodSeconds: 5
  timeoutSeconds: 5
  # On a busy node a receiver may be slow to answer; its name must not go while senders look it up.
  failureThreshold: 3
livenessProbe:
  httpGet: {path: /healthz, port: monitor}
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- define "receive.senderContainer" -}}
{{- $device := eq (include "receive.senderUsesDevice" .) "true" -}}
- name: sender
  {{- include "vis-receive.containerHead" (dict "root" . "image" "image" "device" $device "transport" (.Values.transmission | default dict).transport) | nindent 2 }}
  command:
    - emu-send
    - -c
    - /etc/vis-receive/config.json
    - --receiver
    - /run/vis-receive
    - {{ include "receive.datamodel" . | include "vis-receive.verbatim" | quote }}
  env:
    {{- include "vis-receive.env" . | nindent 4 }}
  {{- if $device }}
  resources: {{ include "vis-receive.deviceResources" (dict "root" . "resources" .Values.senderResources) }}
  {{- else }}
  resources: {{ include "vis-receive.json" (.Values.senderResources | default dict) }}
  {{- end }}
  volumeMounts:
    {{- include "vis-receive.mounts" (list . "sender") | nindent 4 }}
    - name: model
      mountPath: /model
      readOnly: true
    - name: run
      mountPath: /run/vis-receive
{{- end }}

{{- define "receive.pushContainer" -}}
{{- $rclone := .Values.rclone | default dict -}}
{{- $secret := include "vis-receive.text" (list $rclone.secret "") -}}
- name: push
  {{- include "vis-receive.containerHead" (dict "root" . "image" "pushImage" "device" false) | nindent 2 }}
  command:
    - emu-push
    - -c
    - /etc/vis-receive/config.json
    - -c
    - /etc/vis-receive-secret/config.json
    - -o
    - reception.process_index=$(VIS_RECEIVE_INDEX)
    - --run-folder
    - /run/vis-receive
    - --scratch
    - /run/vis-receive-push
    {{- if $secret }}
    - --rclone-config
    - /etc/rclone/rclone.conf
    {{- end }}
  env:
    {{- include "vis-receive.env" . | nindent 4 }}
    {{- with include "vis-receive.proxyEnv" . }}{{ trim . | nindent 4 }}{{ end }}
    {{- with include "vis-receive.caEnv" . }}{{ trim . | nindent 4 }}{{ end }}
  resources: {{ include "vis-receive.json" (.Values.pushResources | default dict) }}
  volumeMounts:
    {{- include "vis-receive.mounts" (list . "push") | nindent 4 }}
    {{- include "vis-receive.secretMount" . | nindent 4 }}
    {{- with include "vis-receive.caMount" . }}{{ trim . | nindent 4 }}{{ end }}
    - name: run
      mountPath: /run/vis-receive
    - name: push
      mountPath: /run/vis-receive-push
    {{- if $secret }}
    - name: rclone
      mountPath: /etc/rclone
      readOnly: true
    {{- end }}
    {{- include "receive.resultsMount" . | nindent 4 }}
{{- end }}

{{/* Where results lie: each pod of a claim that all share has a folder of its own. */}}
{{- define "receive.resultsMount" -}}
{{- $shared := include "receive.sharedClaim" . -}}
{{- $old := (.Values.pvc | default dict).path -}}
{{- range list "/results" ($old | default "/results") | uniq -}}
{{- if ne . "/results" }}{{ "\n" }}{{ end -}}
- name: results
  mountPath: {{ . | quote }}
  {{- if $shared }}
  subPathExpr: {{ printf "%s/$(VIS_RECEIVE_INDEX)" $.Release.Name | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The claim that all pods share; nothing where each has a volume of its own. */}}
{{- define "receive.sharedClaim" -}}
{{- $storage := .Values.storage | default dict -}}
{{- $claim := include "receive.existingClaim" . -}}
{{- if $claim -}}
{{- $claim -}}
{{- else if and $storage.size (not (include "vis-receive.boolean" (list $storage.ephemeral false))) -}}
{{- include "vis-receive.fullname" . }}-results
{{- end -}}
{{- end }}

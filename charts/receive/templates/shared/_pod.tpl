{{/* What pods of both charts have: security, devices, networks, places. In both charts. */}}

{{/*
Security context of a container, of a list of the root, whether it uses the RDMA device, and its
transport. IPC_LOCK added for a user that is not root has no effect by itself: it takes uid 0, or a
file with the capability, which no-new-privileges would ignore. The card gives packets as they come,
which is what ibverbs takes, to those alone that have NET_RAW.
*/}}
{{- define "vis-receive.containerSecurity" -}}
{{- $root := index . 0 -}}
{{- $context := deepCopy ($root.Values.securityContext | default dict) -}}
{{- $rdma := $root.Values.rdma | default dict -}}
{{- $lock := $rdma.ipcLock | default "none" -}}
{{- if and (index . 1) (include "vis-receive.boolean" (list $rdma.enabled false)) (ne $lock "none") -}}
{{- $capabilities := deepCopy ($context.capabilities | default dict) -}}
{{- $add := append ($capabilities.add | default list) "IPC_LOCK" -}}
{{- if eq (toString (index . 2)) "ibverbs" }}{{ $add = append $add "NET_RAW" }}{{ end -}}
{{- $_ := set $capabilities "add" (uniq $add) -}}
{{- $_ := set $context "capabilities" $capabilities -}}
{{- if eq $lock "root" -}}
{{- $context = merge (dict "runAsUser" 0 "runAsNonRoot" false) $context -}}
{{- else -}}
{{- if not $rdma.image }}{{ fail "rdma.ipcLock is file and there is no rdma.image: set it to an image whose interpreter has the capability" }}{{ end -}}
{{- $_ := set $context "allowPrivilegeEscalation" true -}}
{{- end -}}
{{- end -}}
{{- include "vis-receive.json" $context -}}
{{- end }}

{{/* Resources with the RDMA device; a dict of root and resources. */}}
{{- define "vis-receive.deviceResources" -}}
{{- $resources := deepCopy (.resources | default dict) -}}
{{- $rdma := .root.Values.rdma | default dict -}}
{{- if include "vis-receive.boolean" (list $rdma.enabled false) -}}
{{- $count := include "vis-receive.text" (list $rdma.count 1) -}}
{{- range list "limits" "requests" -}}
{{- $amounts := get $resources . | default dict -}}
{{- $_ := set $amounts $rdma.resource $count -}}
{{- $_ := set $resources . $amounts -}}
{{- end -}}
{{- end -}}
{{- include "vis-receive.json" $resources -}}
{{- end }}

{{/* The annotation that asks Multus for networks: names with commas, or JSON where maps are given. */}}
{{- define "vis-receive.networks" -}}
{{- $networks := (.Values.network | default dict).multus -}}
{{- if $networks -}}
{{- if kindIs "slice" $networks -}}
{{- $maps := false -}}
{{- range $networks }}{{ if kindIs "map" . }}{{ $maps = true }}{{ end }}{{ end -}}
{{- if $maps -}}
{{- range $networks }}{{ if not (kindIs "map" .) }}{{ fail "network.multus mixes names and maps: give a list of one kind" }}{{ end }}{{ end -}}
{{- toJson $networks -}}
{{- else -}}
{{- without $networks "" | join "," -}}
{{- end -}}
{{- else -}}
{{- $networks -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Annotations of the pods; a dict of root and more. */}}
{{- define "vis-receive.podAnnotations" -}}
{{- $annotations := .more | default dict -}}
{{- with include "vis-receive.networks" .root -}}
{{- $_ := set $annotations "k8s.v1.cni.cncf.io/networks" . -}}
{{- end -}}
{{- range $name, $value := .root.Values.podAnnotations -}}
{{- $_ := set $annotations $name $value -}}
{{- end -}}
{{- include "vis-receive.texts" $annotations -}}
{{- end }}

{{/* Labels of the pods; a list of the root and the component. */}}
{{- define "vis-receive.podLabels" -}}
{{- $root := index . 0 -}}
{{ include "vis-receive.selectorLabels" $root }}
app.kubernetes.io/component: {{ index . 1 | quote }}
{{- include "vis-receive.givenLabels" (list $root.Values.podLabels "podLabels") }}
{{- end }}

{{/* The pod's settings that are the same whatever it runs. */}}
{{- define "vis-receive.podSettings" -}}
restartPolicy: Never
serviceAccountName: {{ include "vis-receive.serviceAccountName" . | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "vis-receive.text" (list .Values.terminationGracePeriodSeconds 30) }}
{{- if include "vis-receive.boolean" (list (.Values.network | default dict).hostNetwork false) }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext: {{ include "vis-receive.json" . }}
{{- end }}
{{- range $name := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "priorityClassName" }}
{{- with index $.Values $name }}
{{ $name }}: {{ include "vis-receive.json" . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Further items of a list, a line each. */}}
{{- define "vis-receive.listed" -}}
{{- range . }}
- {{ include "vis-receive.json" . }}
{{- end }}
{{- end }}

{{/* Every container knows its index: paths and options are made of it. */}}
{{- define "vis-receive.env" -}}
- name: VIS_RECEIVE_INDEX
  valueFrom:
    fieldRef:
      fieldPath: metadata.labels['batch.kubernetes.io/job-completion-index']
{{- include "vis-receive.listed" .Values.extraEnv }}
{{- end }}

{{/* Mounts of every container: its own piece of /tmp; a list of the root and the container. */}}
{{- define "vis-receive.mounts" -}}
{{- $root := index . 0 -}}
- name: config
  mountPath: /etc/vis-receive
  readOnly: true
- name: tmp
  mountPath: /tmp
  subPath: {{ index . 1 }}
{{- include "vis-receive.listed" $root.Values.extraVolumeMounts }}
{{- end }}

{{- define "vis-receive.secretMount" -}}
- name: secret
  mountPath: /etc/vis-receive-secret
  readOnly: true
{{- end }}

{{/* Volumes of every pod. */}}
{{- define "vis-receive.volumes" -}}
- name: config
  configMap:
    name: {{ include "vis-receive.fullname" . | quote }}
- name: secret
  secret:
    secretName: {{ include "vis-receive.fullname" . | quote }}
    items: [{key: config.json, path: config.json}]
- name: tmp
  emptyDir: {}
- name: model
  emptyDir: {}
{{- with include "vis-receive.caVolume" . }}{{ trim . | nindent 0 }}{{ end }}
{{- include "vis-receive.listed" .Values.extraVolumes }}
{{- end }}

{{/* The container that fetches the telescope model. */}}
{{- define "vis-receive.modelContainer" -}}
- name: model
  {{- include "vis-receive.containerHead" (dict "root" . "image" "image" "device" false) | nindent 2 }}
  command:
    - emu-fetch-model
    - -c
    - /etc/vis-receive/config.json
    - -c
    - /etc/vis-receive-secret/config.json
    - --to
    - /model
    {{- with include "vis-receive.modelOptions" . }}{{ trim . | nindent 4 }}{{ end }}
  env:
    {{- include "vis-receive.env" . | nindent 4 }}
    {{- with include "vis-receive.proxyEnv" . }}{{ trim . | nindent 4 }}{{ end }}
    {{- with include "vis-receive.caEnv" . }}{{ trim . | nindent 4 }}{{ end }}
  {{- with .Values.modelResources }}
  resources: {{ include "vis-receive.json" . }}
  {{- end }}
  volumeMounts:
    {{- include "vis-receive.mounts" (list . "model") | nindent 4 }}
    {{- include "vis-receive.secretMount" . | nindent 4 }}
    {{- with include "vis-receive.caMount" . }}{{ trim . | nindent 4 }}{{ end }}
    - name: model
      mountPath: /model
{{- end }}

{{/* Options of the command that fetches the model; each is the command's own where nobody says. */}}
{{- define "vis-receive.modelOptions" -}}
{{- $fetch := .Values.modelFetch | default dict -}}
{{- range $name, $option := dict "retries" "--retries" "stallTimeout" "--stall-timeout" "timeout" "--timeout" "maxUnpacked" "--max-unpacked" "maxRatio" "--max-ratio" -}}
{{- with include "vis-receive.text" (list (get $fetch $name) "") }}
{{- $value := . }}
{{- if eq $name "maxUnpacked" }}{{ $value = include "vis-receive.bytes" . }}{{ end }}
- {{ printf "%s=%s" $option $value | quote }}
{{- end -}}
{{- end -}}
{{- end }}

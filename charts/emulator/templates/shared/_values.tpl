{{/* Reading values, which may have come as text. The same file is in both charts. */}}

{{/* "true" or nothing, of a list of a switch and its default. */}}
{{- define "vis-receive.boolean" -}}
{{- $value := index . 0 -}}
{{- if kindIs "invalid" $value }}{{ $value = index . 1 }}{{ end -}}
{{- if has (toString $value | trim | lower) (list "true" "yes" "1") }}true{{ end -}}
{{- end }}

{{/* The text of a list of a scalar and its default. Numbers do not become 1.073741824e+09. */}}
{{- define "vis-receive.text" -}}
{{- $value := index . 0 -}}
{{- if or (kindIs "invalid" $value) (and (kindIs "string" $value) (eq (trim $value) "")) }}{{ $value = index . 1 }}{{ end -}}
{{- if kindIs "string" $value }}{{ trim $value }}{{ else }}{{ toJson $value }}{{ end -}}
{{- end }}

{{/*
A text as an argument or a variable in which Kubernetes must expand nothing. It makes $ of every $$,
so that $$(X) with one more $ would be expanded after all.
*/}}
{{- define "vis-receive.verbatim" -}}
{{- replace "$" "$$" . -}}
{{- end }}

{{/* A text just as it is, blanks and all; a number or a switch as it is written. */}}
{{- define "vis-receive.exact" -}}
{{- if kindIs "string" . }}{{ . }}{{ else if not (kindIs "invalid" .) }}{{ toJson . }}{{ end -}}
{{- end }}

{{/*
A value on one line that YAML reads as it is, whatever its texts hold: as JSON, with what YAML does
not take there (DEL, C1, byte order marks) escaped. Texts alone are written by quote.
*/}}
{{- define "vis-receive.json" -}}
{{- $json := toJson . -}}
{{- if regexMatch "[\\x{7f}-\\x{9f}\\x{feff}\\x{fffe}\\x{ffff}]" $json -}}
{{- range $code := concat (untilStep 127 160 1) (list 65279 65534 65535) -}}
{{- $json = replace (printf "%c" $code) (printf "\\u%04x" $code) $json -}}
{{- end -}}
{{- end -}}
{{- $json -}}
{{- end }}

{{/* A map of texts, such as annotations, on one line. */}}
{{- define "vis-receive.texts" -}}
{{- $texts := dict -}}
{{- range $name, $value := . }}{{ $_ := set $texts $name (include "vis-receive.exact" $value) }}{{ end -}}
{{- include "vis-receive.json" $texts -}}
{{- end }}

{{/*
The items of a list that may have come as text, as JSON. Helm's --set makes [""] of '{}' and "" of
nothing: empty items are dropped, whatever they came as.
*/}}
{{- define "vis-receive.items" -}}
{{- $items := list -}}
{{- if kindIs "slice" . -}}
{{- $items = . -}}
{{- else if kindIs "string" . -}}
{{- $items = regexSplit "[,\\s]+" (regexReplaceAll "[{}\"']" . " " | trim | trimPrefix "[" | trimSuffix "]") -1 -}}
{{- end -}}
{{- $texts := list -}}
{{- range $items }}{{ with include "vis-receive.text" (list . "") }}{{ $texts = append $texts . }}{{ end }}{{ end -}}
{{- toJson $texts -}}
{{- end }}

{{/* The bytes of a size: 8 MiB, 8Mi, 8MB, 8M, 8388608; 0 of an empty text. */}}
{{- define "vis-receive.bytes" -}}
{{- $text := include "vis-receive.text" (list . "0") -}}
{{- $number := regexFind "^[+]?[0-9.]+([eE][+-]?[0-9]+)?" $text | trimPrefix "+" -}}
{{- $unit := trimPrefix (regexFind "^[+]?[0-9.]+([eE][+-]?[0-9]+)?" $text) $text | lower | nospace | trimSuffix "/s" | trimSuffix "b" -}}
{{- $powers := dict "" 0 "k" 1 "m" 2 "g" 3 "t" 4 "p" 5 -}}
{{- $letter := trimSuffix "i" $unit -}}
{{- if not (hasKey $powers $letter) }}{{ fail (printf "%q is not a size, such as 8Gi" $text) }}{{ end -}}
{{- $base := ternary 1024.0 1000.0 (hasSuffix "i" $unit) -}}
{{- $bytes := float64 $number -}}
{{- range until (int (index $powers $letter)) }}{{ $bytes = mulf $bytes $base }}{{ end -}}
{{- $bytes | ceil | int64 -}}
{{- end }}

{{/* Whether the model is fetched; of an older chart's switch where model.pull is not given. */}}
{{- define "vis-receive.modelPull" -}}
{{- $model := .Values.model | default dict -}}
{{- $old := .Values.initContainersEnabled -}}
{{- $pull := $model.pull -}}
{{- if not (kindIs "invalid" $old) -}}
{{- if kindIs "invalid" $pull }}{{ $pull = $old }}{{ end -}}
{{- if ne (include "vis-receive.boolean" (list $pull true)) (include "vis-receive.boolean" (list $old true)) -}}
{{- fail "initContainersEnabled, an old name of model.pull, contradicts model.pull: remove initContainersEnabled" -}}
{{- end -}}
{{- end -}}
{{- include "vis-receive.boolean" (list $pull true) -}}
{{- end }}

{{- define "vis-receive.modelName" -}}
{{- include "vis-receive.text" (list (.Values.model | default dict).name "sim-vis.ms") -}}
{{- end }}

{{/*
The configuration as nested JSON: what was given of the categories, without credentials.
Takes a dict of root, categories (a list) and more (nested; wins).
*/}}
{{- define "vis-receive.config" -}}
{{- $secret := list "model.url" "rclone.configurl" -}}
{{- if include "vis-receive.destinationIsSecret" .root }}{{ $secret = append $secret "rclone.command" }}{{ end -}}
{{- if include "vis-receive.commandConfig" .root }}{{ $secret = append $secret "consumer.command" }}{{ end -}}
{{- $config := dict -}}
{{- range $category := .categories -}}
{{- $keys := dict -}}
{{- range $name, $value := (index $.root.Values $category | default dict) -}}
{{- if not (or (kindIs "invalid" $value) (has (printf "%s.%s" $category $name) $secret)) -}}
{{- $_ := set $keys $name $value -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := (index $.more $category | default dict) -}}
{{- $_ := set $keys $name $value -}}
{{- end -}}
{{- if $keys -}}
{{- $_ := set $config $category $keys -}}
{{- end -}}
{{- end -}}
{{- toJson $config -}}
{{- end }}

{{/* The part of the configuration that is a credential, as nested JSON. */}}
{{- define "vis-receive.secretConfig" -}}
{{- $config := dict -}}
{{- with include "vis-receive.text" (list (.Values.model | default dict).url "") -}}
{{- $_ := set $config "model" (dict "url" .) -}}
{{- end -}}
{{- $rclone := dict -}}
{{- with include "vis-receive.text" (list (index .Values "rclone" | default dict).configurl "") -}}
{{- $_ := set $rclone "configurl" . -}}
{{- end -}}
{{- if include "vis-receive.destinationIsSecret" . -}}
{{- $_ := set $rclone "command" .Values.rclone.command -}}
{{- end -}}
{{- if $rclone }}{{ $_ := set $config "rclone" $rclone }}{{ end -}}
{{- toJson $config -}}
{{- end }}

{{/* "true" where rclone.command has parameters or a user: they may be credentials. */}}
{{- define "vis-receive.destinationIsSecret" -}}
{{- if regexMatch "[,@]" (include "vis-receive.text" (list (.Values.rclone | default dict).command "")) }}true{{ end -}}
{{- end }}

{{/* consumer.command as nested JSON, where an argument is a secret or a URL with a user; else nothing. */}}
{{- define "vis-receive.commandConfig" -}}
{{- $command := (.Values.consumer | default dict).command -}}
{{- if regexMatch "secret:|://.*@" (toJson $command) -}}
{{- toJson (dict "consumer" (dict "command" $command)) -}}
{{- end -}}
{{- end }}

{{/* What the guard reads. Its plan is not among it: that comes from the agent. */}}
{{- define "memguard.guardConfig" -}}
cgroupRoot = "/host/sys/fs/cgroup"
{{- if include "memguard.enforce" . }}
sysctlRoot = "/host/proc/sys"
{{- end }}
critical = {{ toJson .Values.guard.critical }}
{{- with .Values.guard.tuning }}

[tuning]
{{- range $key, $value := . }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- end }}

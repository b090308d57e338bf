{{/* How a component is scraped, by either kind of monitor: (list ROOT COMPONENT VALUES). */}}
{{- define "memguard.endpoint" -}}
{{- $values := last . -}}
- port: metrics
  path: /metrics
  # Namespace, pod and container of a sample are those that it is about.
  honorLabels: true
  {{- with $values.interval }}
  interval: {{ . }}
  {{- end }}
  {{- with $values.scrapeTimeout }}
  scrapeTimeout: {{ . }}
  {{- end }}
  relabelings:
    - sourceLabels: [__meta_kubernetes_pod_node_name]
      targetLabel: node
    - targetLabel: job
      replacement: memguard-{{ index . 1 }}
    {{- with $values.relabelings }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $values.metricRelabelings }}
  metricRelabelings:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Where a monitor's namespace and labels are its own: (list ROOT COMPONENT NAME VALUES). */}}
{{- define "memguard.monitorMetadata" -}}
{{- $root := first . -}}
{{- $values := last . -}}
name: {{ index . 2 }}
namespace: {{ $values.namespace | default (include "memguard.namespace" $root) }}
labels:
  {{- include "memguard.labels" (list $root (index . 1) $values.labels) | nindent 2 }}
{{- include "memguard.annotations" (list $root $values.annotations) }}
{{- end }}

{{/* Those that are there, as a list. */}}
{{- define "memguard.components" -}}
- node
{{- if .Values.operator.enabled }}
- operator
{{- end }}
{{- end }}

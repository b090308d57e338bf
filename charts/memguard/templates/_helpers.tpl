{{/* What all names begin with; room is left for the longest suffix. */}}
{{- define "memguard.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "memguard.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* Whether the guard may act. */}}
{{- define "memguard.enforce" -}}
{{- if eq .Values.profile "enforce" }}true{{ end }}
{{- end }}

{{/* What never changes, since selectors cannot, and what `kubectl memguard` looks for: (list ROOT COMPONENT). */}}
{{- define "memguard.selector" -}}
{{- $root := first . -}}
app.kubernetes.io/name: memguard
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ last . }}
{{- end }}

{{/* Of every object: (list ROOT COMPONENT [MORE]). */}}
{{- define "memguard.labels" -}}
{{- $root := first . -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_")
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "app.kubernetes.io/part-of" "memguard" -}}
{{- $fixed := include "memguard.selector" (list $root (index . 1)) | fromYaml -}}
{{- $more := dict }}{{ if gt (len .) 2 }}{{ $more = index . 2 | default dict }}{{ end -}}
{{- merge (deepCopy $fixed) $more $root.Values.commonLabels $own | toYaml }}
{{- end }}

{{/* Of every object, with the key, where there are any: (list ROOT [MORE]). */}}
{{- define "memguard.annotations" -}}
{{- $root := first . -}}
{{- $more := dict }}{{ if gt (len .) 1 }}{{ $more = index . 1 | default dict }}{{ end -}}
{{- with merge (deepCopy $more) $root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Of an object that has no namespace: (list ROOT COMPONENT NAME [MORE]); MORE has labels and annotations of its own. */}}
{{- define "memguard.clusterMetadata" -}}
{{- $root := first . -}}
{{- $more := dict }}{{ if gt (len .) 3 }}{{ $more = last . }}{{ end -}}
name: {{ index . 2 }}
labels:
  {{- include "memguard.labels" (list $root (index . 1) $more.labels) | nindent 2 }}
{{- include "memguard.annotations" (list $root $more.annotations) }}
{{- end }}

{{/* The same of one that has: ours, or that in MORE. */}}
{{- define "memguard.metadata" -}}
{{- $more := dict }}{{ if gt (len .) 3 }}{{ $more = last . }}{{ end -}}
namespace: {{ $more.namespace | default (include "memguard.namespace" (first .)) }}
{{ include "memguard.clusterMetadata" . }}
{{- end }}

{{/* An image's whole name: (list ROOT IMAGE). */}}
{{- define "memguard.image" -}}
{{- $root := first . -}}
{{- $image := last . -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}
{{- else }}:{{ coalesce $image.tag $root.Values.image.tag $root.Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "memguard.agentAccount" -}}
{{- default (printf "%s-agent" (include "memguard.fullname" .)) .Values.agent.serviceAccount.name }}
{{- end }}

{{- define "memguard.operatorAccount" -}}
{{- default (printf "%s-operator" (include "memguard.fullname" .)) .Values.operator.serviceAccount.name }}
{{- end }}

{{/* How the API server calls them. */}}
{{- define "memguard.agentUser" -}}
system:serviceaccount:{{ include "memguard.namespace" . }}:{{ include "memguard.agentAccount" . }}
{{- end }}

{{- define "memguard.operatorUser" -}}
system:serviceaccount:{{ include "memguard.namespace" . }}:{{ include "memguard.operatorAccount" . }}
{{- end }}

{{/* No container of ours has more than this, but for the guard's few capabilities. */}}
{{- define "memguard.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* The API token as a volume: bound to the pod, for an hour, renewed by kubelet. */}}
{{- define "memguard.tokenVolume" -}}
- name: token
  projected:
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - {key: ca.crt, path: ca.crt}
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}

{{- define "memguard.tokenMount" -}}
- {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}

{{/* Of every pod of ours. */}}
{{- define "memguard.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Of a pod: no version among them, which would start it anew: (list ROOT COMPONENT MORE). */}}
{{- define "memguard.podLabels" -}}
{{- $root := first . -}}
{{- $fixed := include "memguard.selector" (list $root (index . 1)) | fromYaml -}}
{{- merge $fixed (last .) $root.Values.commonLabels (dict "app.kubernetes.io/part-of" "memguard") | toYaml }}
{{- end }}

{{/* Of the definitions: whose they are, and whether they stay. */}}
{{- define "memguard.crdMetadata" -}}
labels:
  {{- include "memguard.labels" (list . "crds") | nindent 2 }}
{{- $keep := ternary (dict "helm.sh/resource-policy" "keep") dict .Values.crds.keep }}
{{- include "memguard.annotations" (list . (merge $keep .Values.crds.annotations)) }}
{{- end }}

{{/* What the clean-up and all that it needs are: hooks that come when the operator is gone, and go. */}}
{{- define "memguard.cleanUpHook" -}}
helm.sh/hook: {{ .Values.operator.enabled | ternary "post-delete" "post-delete,post-upgrade,post-rollback" }}
helm.sh/hook-weight: "0"
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}

{{- /* The name of all objects of a release: the release's own, with "switchyard" in it. */ -}}
{{- define "switchyard.name" -}}
{{- if contains "switchyard" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-switchyard" (.Release.Name | trunc 39 | trimSuffix "-") }}{{ end }}
{{- end }}

{{- define "switchyard.busName" -}}
{{ include "switchyard.name" . }}-bus
{{- end }}

{{- /* Labels by which pods are selected; they never change. */ -}}
{{- define "switchyard.selector" -}}
app.kubernetes.io/name: switchyard
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "switchyard.busSelector" -}}
app.kubernetes.io/name: yardbus
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "switchyard.labels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* An image by its digest, or else its tag, or else the version of the chart's program. */ -}}
{{- define "switchyard.image" -}}
{{- if .image.digest }}{{ printf "%s@%s" .image.repository .image.digest }}{{ else }}{{ printf "%s:%s" .image.repository (.image.tag | default .root.Chart.AppVersion) }}{{ end }}
{{- end }}

{{- define "switchyard.configMap" -}}
{{ .Values.existingConfigMap | default (include "switchyard.name" .) }}
{{- end }}

{{- /* The servers of the bus, with commas between them. */ -}}
{{- define "switchyard.busServers" -}}
{{- if .Values.cluster.bus.enabled -}}
{{- $bus := include "switchyard.busName" . -}}
{{- range $i := until 3 }}{{ if $i }},{{ end }}tls://{{ $bus }}-{{ $i }}.{{ $bus }}:4222{{ end -}}
{{- else -}}
{{- join "," .Values.cluster.servers -}}
{{- end -}}
{{- end }}

{{- /* What no pod of this chart needs, it does not have. */ -}}
{{- define "switchyard.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "switchyard.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: ["ALL"]
{{- end }}

{{- /* Two pods on one node would end together. */ -}}
{{- define "switchyard.apart" -}}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- . | nindent 12 }}
{{- end }}

{{- define "switchyard.scheduling" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- /* The pod of a hub, alone or in a cluster. */ -}}
{{- define "switchyard.hubPod" -}}
metadata:
  labels:
    {{- include "switchyard.selector" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "switchyard.podSecurity" . | nindent 2 }}
  {{- with include "switchyard.scheduling" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  {{- if .Values.cluster.enabled }}
  {{- include "switchyard.apart" (include "switchyard.selector" .) | nindent 2 }}
  {{- end }}
  containers:
    - name: switchyard
      image: {{ include "switchyard.image" (dict "image" .Values.image "root" .) | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: ["serve", "--config", "/etc/switchyard/config.toml"]
      env:
        - name: GOMEMLIMIT
          value: {{ .Values.goMemLimit | quote }}
        {{- if .Values.metrics.enabled }}
        - name: SWITCHYARD_METRICS__ADDRESS
          value: ":{{ .Values.metrics.port }}"
        - name: SWITCHYARD_METRICS__ALLOW
          value: {{ join "," .Values.metrics.allow | quote }}
        {{- end }}
        {{- if .Values.cluster.enabled }}
        # 1, 2 and 3.
        - name: SWITCHYARD_CLUSTER__HUB
          valueFrom:
            fieldRef:
              fieldPath: metadata.labels['apps.kubernetes.io/pod-index']
        - name: SWITCHYARD_CLUSTER__NAME
          value: {{ .Values.cluster.name | quote }}
        - name: SWITCHYARD_CLUSTER__SERVERS
          value: {{ include "switchyard.busServers" . | quote }}
        - name: SWITCHYARD_CLUSTER__CREDENTIALS
          value: /etc/switchyard-bus/hub.creds
        - name: SWITCHYARD_CLUSTER__CA
          value: /etc/switchyard-bus/ca.pem
        {{- end }}
      ports:
        - name: peers
          containerPort: 8200
        {{- if .Values.metrics.enabled }}
        - name: metrics
          containerPort: {{ .Values.metrics.port }}
        {{- end }}
      # Admin listens on the pod's loopback only, so the probes run inside the container.
      startupProbe:
        exec:
          command: ["/switchyard", "health", "--address", "127.0.0.1:8280"]
        periodSeconds: 2
        timeoutSeconds: 6
        failureThreshold: 90
      livenessProbe:
        exec:
          command: ["/switchyard", "health", "--address", "127.0.0.1:8280"]
        periodSeconds: 10
        timeoutSeconds: 6
        failureThreshold: 3
      # Not ready while it enters a cluster. While the bus elects a leader, in some 10s, no hub is
      # ready for a moment; open connections stay.
      readinessProbe:
        exec:
          command: ["/switchyard", "health", "--ready", "--address", "127.0.0.1:8280"]
        periodSeconds: 5
        timeoutSeconds: 6
        failureThreshold: {{ ternary 3 2 .Values.cluster.enabled }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      {{- include "switchyard.containerSecurity" . | nindent 6 }}
      volumeMounts:
        # The folder, not a single file (subPath), which would never change.
        - name: configuration
          mountPath: /etc/switchyard
          readOnly: true
        {{- if .Values.cluster.enabled }}
        - name: bus
          mountPath: /etc/switchyard-bus
          readOnly: true
        {{- end }}
        - name: state
          mountPath: /var/lib/switchyard
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: configuration
      configMap:
        name: {{ include "switchyard.configMap" . }}
    {{- if .Values.cluster.enabled }}
    - name: bus
      secret:
        secretName: {{ .Values.cluster.secret }}
    {{- end }}
    {{- if not .Values.state.persistent }}
    - name: state
      emptyDir:
        sizeLimit: {{ .Values.state.size }}
    {{- else if not .Values.cluster.enabled }}
    - name: state
      persistentVolumeClaim:
        claimName: {{ include "switchyard.name" . }}
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* The specification of a claim of a volume. */ -}}
{{- define "switchyard.claim" -}}
accessModes: ["ReadWriteOnce"]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end }}

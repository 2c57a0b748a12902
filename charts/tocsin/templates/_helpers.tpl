{{- /* Names, labels, rights: what several templates have in common. */ -}}

{{- define "tocsin.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "tocsin.controller" -}}
{{- include "tocsin.name" . }}-controller
{{- end }}

{{- define "tocsin.webhook" -}}
{{- include "tocsin.name" . }}-webhook
{{- end }}

{{- define "tocsin.account" -}}
{{- default (include "tocsin.controller" .) .Values.serviceAccount.name -}}
{{- end }}

{{- define "tocsin.lease" -}}
{{- default "argo-events-controller" .Values.controller.lease -}}
{{- end }}

{{- define "tocsin.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end }}

{{- /* Labels by which the controller's pods are known; they never change. */ -}}
{{- define "tocsin.selector" -}}
app.kubernetes.io/name: tocsin-controller
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tocsin.labels" -}}
{{- with .Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
app.kubernetes.io/part-of: tocsin
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* All but where credentials are handed out; names are asked for wherever the resolver is. */ -}}
{{- define "tocsin.egress" -}}
- ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
- to:
    - namespaceSelector: {}
    - ipBlock:
        cidr: 0.0.0.0/0
        except: {{ toJson .Values.networkPolicies.never }}
    - ipBlock:
        cidr: ::/0
        except: {{ toJson .Values.networkPolicies.neverIpv6 }}
{{- end }}

{{- /* What the controller may do wherever it takes care of objects. */ -}}
{{- define "tocsin.rules" -}}
- apiGroups: [argoproj.io]
  resources: [eventbus, eventsources, sensors]
  verbs: [list, watch]
- apiGroups: [tocsin.dev]
  resources: [notifiers]
  verbs: [list, watch]
# The finalizer of a bus is set on the object itself; those of Argo Events are taken off all three.
- apiGroups: [argoproj.io]
  resources: [eventbus, eventsources, sensors]
  verbs: [patch]
- apiGroups: [argoproj.io]
  resources: [eventbus/status, eventsources/status, sensors/status]
  verbs: [patch]
- apiGroups: [tocsin.dev]
  resources: [notifiers/status]
  verbs: [patch]
# What is made for an object is owned by it, and holds it while it is deleted. Asked for only where
# the admission plugin OwnerReferencesPermissionEnforcement is on, as on OpenShift.
- apiGroups: [argoproj.io]
  resources: [eventbus/finalizers, eventsources/finalizers, sensors/finalizers]
  verbs: [update]
- apiGroups: [tocsin.dev]
  resources: [notifiers/finalizers]
  verbs: [update]
# Logins of buses and what pods are handed are made; what objects refer to is read. What was made for
# an object is deleted with it, and nothing else.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, patch, delete]
# Pods are listed for their addresses, at which they say how each event and trigger is.
- apiGroups: [""]
  resources: [pods]
  verbs: [list]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.controller.makeServiceAccounts }}
# Accounts with rights that the controller itself has not: whoever may escalate and bind can give
# himself every right where this holds.
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles]
  verbs: [list, watch, create, patch, delete, escalate, bind]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [rolebindings]
  verbs: [list, watch, create, patch, delete]
{{- end }}
{{- end }}

package kubernetes

// The parts of Kubernetes' objects that the manifests use, with the names and types of its
// API. A manifest with another field fails the tests: add the field here.

type meta struct {
	Name                string
	Labels, Annotations map[string]string
}

type selector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type head struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   meta
}

type configMap struct {
	head `yaml:",inline"`
	Data map[string]string
}

type deployment struct {
	head `yaml:",inline"`
	Spec struct {
		Replicas             int
		Strategy             struct{ Type string }
		RevisionHistoryLimit int `yaml:"revisionHistoryLimit"`
		Selector             selector
		Template             struct {
			Metadata meta
			Spec     pod
		}
	}
}

type statefulSet struct {
	head `yaml:",inline"`
	Spec struct {
		Replicas             int
		Ordinals             struct{ Start int }
		ServiceName          string                `yaml:"serviceName"`
		PodManagementPolicy  string                `yaml:"podManagementPolicy"`
		UpdateStrategy       struct{ Type string } `yaml:"updateStrategy"`
		MinReadySeconds      int                   `yaml:"minReadySeconds"`
		RevisionHistoryLimit int                   `yaml:"revisionHistoryLimit"`
		Selector             selector
		Template             struct {
			Metadata meta
			Spec     pod
		}
		VolumeClaimTemplates []struct {
			Metadata meta
			Spec     claim
		} `yaml:"volumeClaimTemplates"`
	}
}

type pod struct {
	AutomountServiceAccountToken  *bool `yaml:"automountServiceAccountToken"`
	EnableServiceLinks            *bool `yaml:"enableServiceLinks"`
	TerminationGracePeriodSeconds int   `yaml:"terminationGracePeriodSeconds"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		RunAsGroup     int                   `yaml:"runAsGroup"`
		FSGroup        int                   `yaml:"fsGroup"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Affinity struct {
		PodAntiAffinity struct {
			Required []struct {
				TopologyKey   string   `yaml:"topologyKey"`
				LabelSelector selector `yaml:"labelSelector"`
			} `yaml:"requiredDuringSchedulingIgnoredDuringExecution"`
		} `yaml:"podAntiAffinity"`
	}
	Containers []container
	Volumes    []struct {
		Name      string
		ConfigMap struct{ Name string } `yaml:"configMap"`
		Secret    struct {
			SecretName string `yaml:"secretName"`
		}
		EmptyDir *struct {
			SizeLimit string `yaml:"sizeLimit"`
		} `yaml:"emptyDir"`
		PersistentVolumeClaim struct {
			ClaimName string `yaml:"claimName"`
		} `yaml:"persistentVolumeClaim"`
	}
}

type container struct {
	Name, Image     string
	ImagePullPolicy string `yaml:"imagePullPolicy"`
	Args            []string
	Env             []variable
	Ports           []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	StartupProbe    probe `yaml:"startupProbe"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	ReadinessProbe  probe `yaml:"readinessProbe"`
	Resources       struct{ Requests, Limits map[string]string }
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	VolumeMounts []mount `yaml:"volumeMounts"`
}

type mount struct {
	Name      string
	MountPath string `yaml:"mountPath"`
	SubPath   string `yaml:"subPath"`
	ReadOnly  bool   `yaml:"readOnly"`
}

type variable struct {
	Name, Value string
	ValueFrom   struct {
		FieldRef struct {
			FieldPath string `yaml:"fieldPath"`
		} `yaml:"fieldRef"`
	} `yaml:"valueFrom"`
}

type probe struct {
	Exec    struct{ Command []string }
	HTTPGet struct{ Path, Port string } `yaml:"httpGet"`

	PeriodSeconds    int `yaml:"periodSeconds"`
	TimeoutSeconds   int `yaml:"timeoutSeconds"`
	FailureThreshold int `yaml:"failureThreshold"`
}

// A claim is what a volume has to have.
type claim struct {
	AccessModes      []string `yaml:"accessModes"`
	StorageClassName string   `yaml:"storageClassName"`
	Resources        struct{ Requests map[string]string }
}

type volumeClaim struct {
	head `yaml:",inline"`
	Spec claim
}

// A podMonitor is one of Prometheus' operator.
type podMonitor struct {
	head `yaml:",inline"`
	Spec struct {
		JobLabel            string `yaml:"jobLabel"`
		Selector            selector
		PodMetricsEndpoints []struct{ Port, Interval string } `yaml:"podMetricsEndpoints"`
	}
}

type service struct {
	head `yaml:",inline"`
	Spec struct {
		Type                     string
		ExternalTrafficPolicy    string `yaml:"externalTrafficPolicy"`
		ClusterIP                string `yaml:"clusterIP"`
		PublishNotReadyAddresses bool   `yaml:"publishNotReadyAddresses"`
		Selector                 map[string]string
		Ports                    []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
	}
}

type disruptionBudget struct {
	head `yaml:",inline"`
	Spec struct {
		MinAvailable               int    `yaml:"minAvailable"`
		MaxUnavailable             int    `yaml:"maxUnavailable"`
		UnhealthyPodEvictionPolicy string `yaml:"unhealthyPodEvictionPolicy"`
		Selector                   selector
	}
}

type networkPolicy struct {
	head `yaml:",inline"`
	Spec struct {
		PodSelector selector `yaml:"podSelector"`
		PolicyTypes []string `yaml:"policyTypes"`
		Ingress     []rule
		Egress      []rule
	}
}

// A rule lets traffic from or to some pods through, on some ports.
type rule struct {
	From, To []struct {
		PodSelector       selector `yaml:"podSelector"`
		NamespaceSelector selector `yaml:"namespaceSelector"`
	}
	Ports []struct{ Port, Protocol string }
}

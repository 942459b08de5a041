package kubernetes

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// clustered are all objects of the folder cluster.
type clustered struct {
	configMap                  configMap
	hubs, bus                  statefulSet
	hubService, busService     service
	hubBudget, busBudget       disruptionBudget
	hubPolicy, busPolicy       networkPolicy
	hubContainer, busContainer container
}

func readCluster(t *testing.T) (m clustered) {
	t.Helper()
	readObjects(t, "cluster/*.yaml", map[string]any{
		"v1 ConfigMap switchyard":                       &m.configMap,
		"apps/v1 StatefulSet switchyard":                &m.hubs,
		"v1 Service switchyard":                         &m.hubService,
		"policy/v1 PodDisruptionBudget switchyard":      &m.hubBudget,
		"networking.k8s.io/v1 NetworkPolicy switchyard": &m.hubPolicy,
		"apps/v1 StatefulSet yardbus":                   &m.bus,
		"v1 Service yardbus":                            &m.busService,
		"policy/v1 PodDisruptionBudget yardbus":         &m.busBudget,
		"networking.k8s.io/v1 NetworkPolicy yardbus":    &m.busPolicy,
	})
	m.hubContainer, m.busContainer = m.hubs.Spec.Template.Spec.container(t), m.bus.Spec.Template.Spec.container(t)
	return m
}

// Objects refer to each other by existing names and labels, and three pods of a kind run on three
// nodes, of which one at a time is evicted.
func TestClusterBelongsTogether(t *testing.T) {
	m := readCluster(t)
	for _, kind := range []struct {
		set     statefulSet
		service service
		budget  disruptionBudget
		policy  networkPolicy
	}{{m.hubs, m.hubService, m.hubBudget, m.hubPolicy}, {m.bus, m.busService, m.busBudget, m.busPolicy}} {
		name, spec := kind.set.Metadata.Name, kind.set.Spec
		labels := spec.Template.Metadata.Labels
		apart := spec.Template.Spec.Affinity.PodAntiAffinity.Required
		if len(apart) != 1 || apart[0].TopologyKey != "kubernetes.io/hostname" {
			t.Fatalf("%s: pods are kept apart by %+v", name, apart)
		}
		for what, selected := range map[string]map[string]string{
			"StatefulSet":         spec.Selector.MatchLabels,
			"anti-affinity":       apart[0].LabelSelector.MatchLabels,
			"Service":             kind.service.Spec.Selector,
			"PodDisruptionBudget": kind.budget.Spec.Selector.MatchLabels,
			"NetworkPolicy":       kind.policy.Spec.PodSelector.MatchLabels,
		} {
			if len(selected) == 0 || !maps.Equal(selected, labels) {
				t.Errorf("%s: %s selects %v, the pods are labelled %v", name, what, selected, labels)
			}
		}
		if spec.Replicas != 3 || spec.ServiceName != kind.service.Metadata.Name || spec.PodManagementPolicy != "Parallel" || spec.UpdateStrategy.Type != "RollingUpdate" {
			t.Errorf("%s: got %+v", name, spec)
		}
		if b := kind.budget.Spec; b.MaxUnavailable != 1 || b.MinAvailable != 0 {
			t.Errorf("%s: budget %+v", name, b)
		}
		ports := map[string]int{}
		for _, p := range spec.Template.Spec.container(t).Ports {
			ports[p.Name] = p.ContainerPort
		}
		for _, p := range kind.service.Spec.Ports {
			if p.TargetPort != p.Name || ports[p.Name] != p.Port {
				t.Errorf("%s: the service has %+v, the container %v", name, p, ports)
			}
		}
		if !slices.Equal(kind.policy.Spec.PolicyTypes, []string{"Ingress", "Egress"}) {
			t.Errorf("%s: the network policy is about %v", name, kind.policy.Spec.PolicyTypes)
		}
	}
}

// Hubs have the numbers 1 to 3, from the labels that Kubernetes gives to pods.
func TestNumbersOfHubs(t *testing.T) {
	m := readCluster(t)
	if start := m.hubs.Spec.Ordinals.Start; start != 1 {
		t.Errorf("pods are counted from %d, and there is no hub 0", start)
	}
	numbers := slices.DeleteFunc(slices.Clone(m.hubContainer.Env), func(v variable) bool { return v.Name != "SWITCHYARD_CLUSTER__HUB" })
	if len(numbers) != 1 || numbers[0].ValueFrom.FieldRef.FieldPath != "metadata.labels['apps.kubernetes.io/pod-index']" {
		t.Errorf("a hub's number is %+v", numbers)
	}
}

// Who talks to whom: msg_servers to hubs, hubs to the bus, its servers to each other.
func TestClusterPolicies(t *testing.T) {
	m := readCluster(t)
	const dns = " UDP 53 TCP 53"
	for what, rules := range map[string]struct {
		got  []rule
		want string
	}{
		"to hubs":      {m.hubPolicy.Spec.Ingress, "msg-server peers"},
		"from hubs":    {m.hubPolicy.Spec.Egress, "yardbus hubs," + dns},
		"to the bus":   {m.busPolicy.Spec.Ingress, "switchyard hubs,yardbus servers"},
		"from the bus": {m.busPolicy.Spec.Egress, "yardbus servers," + dns},
	} {
		var all []string
		for _, r := range rules.got {
			var words []string
			for _, p := range append(slices.Clone(r.From), r.To...) {
				words = append(words, p.PodSelector.MatchLabels["app.kubernetes.io/name"])
			}
			for _, p := range r.Ports {
				words = append(words, strings.TrimSpace(p.Protocol+" "+p.Port))
			}
			text := strings.Join(words, " ")
			if len(r.From)+len(r.To) == 0 {
				text = " " + text // anybody
			}
			all = append(all, text)
		}
		if got := strings.Join(all, ","); got != rules.want {
			t.Errorf("%s: %q, want %q", what, got, rules.want)
		}
	}
}

func TestClusterIsConfined(t *testing.T) {
	m := readCluster(t)
	wantConfined(t, m.hubs.Spec.Template.Spec)
	wantConfined(t, m.bus.Spec.Template.Spec)
	wantResources(t, m.hubContainer)
	wantResources(t, m.busContainer)
	wantProbes(t, m.hubContainer)
	wantGrace(t, m.hubs.Spec.Template.Spec)
}

// The configuration is sound but for the bus, which is not there, and names all of its servers.
func TestClusterConfiguration(t *testing.T) {
	m := readCluster(t)
	folder := t.TempDir()
	for name, text := range m.configMap.Data {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	single := readManifests(t)
	if m.configMap.Data["routes.toml"] != single.configMap.Data["routes.toml"] {
		t.Error("the table differs from that of a single hub")
	}
	out := run(t, folder, 78, "check", "--config", filepath.Join(folder, "config.toml"), "--set", "cluster.hub=1",
		"--set", "cluster.servers=nats://127.0.0.1:1", "--set", "cluster.credentials=", "--set", "cluster.ca=")
	if !strings.Contains(out, "cluster production: no server of the bus is connected: nats://127.0.0.1:1") || !strings.Contains(out, "policy file:routes.toml") {
		t.Errorf("check says:\n%s", out)
	}
	text := m.configMap.Data["config.toml"]
	var servers, peers []string
	for i := range m.bus.Spec.Replicas {
		host := fmt.Sprintf("%s-%d.%s", m.bus.Metadata.Name, i, m.bus.Spec.ServiceName)
		servers = append(servers, fmt.Sprintf(`"tls://%s:4222"`, host))
		peers = append(peers, host+":6222")
	}
	if want := "servers = [" + strings.Join(servers, ", ") + "]"; !strings.Contains(text, want) {
		t.Errorf("want %s in\n%s", want, text)
	}
	if want := "--peers=" + strings.Join(peers, ","); !slices.Contains(m.busContainer.Args, want) {
		t.Errorf("want %s in %q", want, m.busContainer.Args)
	}
	for _, v := range m.hubContainer.VolumeMounts {
		if v.Name == "bus" && (!v.ReadOnly || strings.Count(text, `"`+v.MountPath+"/") != 2) {
			t.Errorf("the files of the bus are in %s, but the configuration is\n%s", v.MountPath, text)
		}
	}
}

// bus is yardbus, built once.
var bus = sync.OnceValues(func() (string, error) {
	exe, err := program()
	if err != nil {
		return "", err
	}
	out := filepath.Join(filepath.Dir(exe), "yardbus")
	build := exec.Command("go", "-C", "cmd/yardbus", "build", "-o", out, ".")
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(text))
	}
	return out, nil
})

// wantServes wants that yardbus takes the flags: it fails at the files, which are not there.
func wantServes(t *testing.T, args []string) {
	t.Helper()
	exe, err := bus()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, append([]string{"--store", t.TempDir()}, args...)...)
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 65 || !strings.HasPrefix(string(out), "yardbus: read --accounts: ") {
		t.Errorf("%q: exit code %d\n%s", args, code, out)
	}
}

// Servers are found before they are ready, and keep their identity. The next one stops when the one
// before it has everything again.
func TestBus(t *testing.T) {
	m := readCluster(t)
	wantServes(t, m.busContainer.Args)
	if s := m.busService.Spec; s.ClusterIP != "None" || !s.PublishNotReadyAddresses {
		t.Errorf("the service is %+v", s)
	}
	claims := m.bus.Spec.VolumeClaimTemplates
	if len(claims) != 1 || !slices.ContainsFunc(m.busContainer.VolumeMounts, func(v mount) bool {
		return v.Name == claims[0].Metadata.Name && v.MountPath == "/var/lib/yardbus" && !v.ReadOnly
	}) {
		t.Errorf("claims %+v, mounts %+v", claims, m.busContainer.VolumeMounts)
	}
	for what, p := range map[string]struct {
		probe
		path string
	}{
		"startup":   {m.busContainer.StartupProbe, "/healthz?js-enabled-only=true"},
		"liveness":  {m.busContainer.LivenessProbe, "/healthz?js-enabled-only=true"},
		"readiness": {m.busContainer.ReadinessProbe, "/healthz"},
	} {
		if p.HTTPGet.Path != p.path || p.HTTPGet.Port != "monitor" || p.FailureThreshold < 2 {
			t.Errorf("%s: %+v", what, p.probe)
		}
	}
	if grace := m.bus.Spec.Template.Spec.TerminationGracePeriodSeconds; grace < 20 {
		t.Errorf("it has %ds to hand over, which takes 10s", grace)
	}
}

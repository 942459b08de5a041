package kubernetes

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func rendered(t *testing.T, changes ...string) []byte {
	t.Helper()
	objects, _, err := render(t, changes...)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(objects)
}

func renderSingle(t *testing.T, changes ...string) (m manifests) {
	t.Helper()
	decodeObjects(t, rendered(t, changes...), map[string]any{
		"v1 ConfigMap switchyard":                       &m.configMap,
		"apps/v1 Deployment switchyard":                 &m.deployment,
		"v1 Service switchyard":                         &m.service,
		"policy/v1 PodDisruptionBudget switchyard":      &m.disruptionBudget,
		"networking.k8s.io/v1 NetworkPolicy switchyard": &m.networkPolicy,
	})
	return m
}

func renderCluster(t *testing.T, changes ...string) (m clustered) {
	t.Helper()
	decodeObjects(t, rendered(t, append(changes, "cluster.enabled=true")...), map[string]any{
		"v1 ConfigMap switchyard":                           &m.configMap,
		"apps/v1 StatefulSet switchyard":                    &m.hubs,
		"v1 Service switchyard":                             &m.hubService,
		"policy/v1 PodDisruptionBudget switchyard":          &m.hubBudget,
		"networking.k8s.io/v1 NetworkPolicy switchyard":     &m.hubPolicy,
		"apps/v1 StatefulSet switchyard-bus":                &m.bus,
		"v1 Service switchyard-bus":                         &m.busService,
		"policy/v1 PodDisruptionBudget switchyard-bus":      &m.busBudget,
		"networking.k8s.io/v1 NetworkPolicy switchyard-bus": &m.busPolicy,
	})
	m.hubContainer, m.busContainer = m.hubs.Spec.Template.Spec.container(t), m.bus.Spec.Template.Spec.container(t)
	return m
}

// The objects of the chart are those of the manifests, but for the names of releases.
func TestChartIsThatOfTheManifests(t *testing.T) {
	chart, manifest := renderSingle(t), readManifests(t)
	wantSamePod(t, chart.deployment.Spec.Template.Spec, manifest.deployment.Spec.Template.Spec)
	if c, m := chart.deployment.Spec, manifest.deployment.Spec; c.Replicas != m.Replicas || c.Strategy != m.Strategy || c.RevisionHistoryLimit != m.RevisionHistoryLimit {
		t.Errorf("the deployment is %+v, want %+v", c, m)
	}
	if c, m := chart.service.Spec, manifest.service.Spec; c.Type != m.Type || !slices.Equal(c.Ports, m.Ports) {
		t.Errorf("the service is %+v, want %+v", c, m)
	}
	if c, m := chart.disruptionBudget.Spec, manifest.disruptionBudget.Spec; c.MinAvailable != m.MinAvailable || c.UnhealthyPodEvictionPolicy != m.UnhealthyPodEvictionPolicy {
		t.Errorf("the budget is %+v, want %+v", c, m)
	}
	if c, m := chart.networkPolicy.Spec, manifest.networkPolicy.Spec; !reflect.DeepEqual(c.Ingress, m.Ingress) || len(c.Egress) != 0 || !slices.Equal(c.PolicyTypes, m.PolicyTypes) {
		t.Errorf("the network policy is %+v, want %+v", c, m)
	}

	charts, manifests := renderCluster(t), readCluster(t)
	for _, pair := range [][2]statefulSet{{charts.hubs, manifests.hubs}, {charts.bus, manifests.bus}} {
		wantSamePod(t, pair[0].Spec.Template.Spec, pair[1].Spec.Template.Spec)
		for i := range pair {
			pair[i].Spec.ServiceName, pair[i].Spec.Selector = "", selector{}
			pair[i].Spec.Template.Metadata, pair[i].Spec.Template.Spec = meta{}, pod{}
		}
		if !reflect.DeepEqual(pair[0].Spec, pair[1].Spec) {
			t.Errorf("%s is %+v\nwant %+v", pair[1].Metadata.Name, pair[0].Spec, pair[1].Spec)
		}
	}
	if got, want := charts.busService.Spec, manifests.busService.Spec; !slices.Equal(got.Ports, want.Ports) || got.ClusterIP != want.ClusterIP || !got.PublishNotReadyAddresses {
		t.Errorf("the service of the bus is %+v", got)
	}
}

// wantSamePod compares pods but for their images, environments, arguments and labels.
func wantSamePod(t *testing.T, got, want pod) {
	t.Helper()
	for _, p := range []*pod{&got, &want} {
		c := p.container(t)
		c.Image, c.ImagePullPolicy, c.Env, c.Args = "", "", nil, nil
		p.Containers = []container{c}
		for i := range p.Affinity.PodAntiAffinity.Required {
			p.Affinity.PodAntiAffinity.Required[i].LabelSelector = selector{}
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the pod is %+v\nwant %+v", got, want)
	}
}

// Whatever selects pods of the chart selects them by labels of which one is the release's.
func TestChartBelongsTogether(t *testing.T) {
	m := renderCluster(t)
	for _, kind := range []struct {
		set     statefulSet
		service service
		budget  disruptionBudget
		policy  networkPolicy
	}{{m.hubs, m.hubService, m.hubBudget, m.hubPolicy}, {m.bus, m.busService, m.busBudget, m.busPolicy}} {
		spec := kind.set.Spec
		labels := spec.Template.Metadata.Labels
		if labels["app.kubernetes.io/instance"] != "switchyard" || spec.ServiceName != kind.service.Metadata.Name {
			t.Errorf("pods of %s are labelled %v, and the service is %s", kind.set.Metadata.Name, labels, spec.ServiceName)
		}
		for _, selected := range []map[string]string{
			spec.Selector.MatchLabels, spec.Template.Spec.Affinity.PodAntiAffinity.Required[0].LabelSelector.MatchLabels, kind.service.Spec.Selector,
			kind.budget.Spec.Selector.MatchLabels, kind.policy.Spec.PodSelector.MatchLabels,
		} {
			if !maps.Equal(selected, labels) {
				t.Errorf("%v is selected, the pods are labelled %v", selected, labels)
			}
		}
	}
	if to := m.hubPolicy.Spec.Egress[0].To[0].PodSelector.MatchLabels; !maps.Equal(to, m.bus.Spec.Template.Metadata.Labels) {
		t.Errorf("hubs may connect to %v", to)
	}
	if from := m.busPolicy.Spec.Ingress[0].From[0].PodSelector.MatchLabels; !maps.Equal(from, m.hubs.Spec.Template.Metadata.Labels) {
		t.Errorf("the bus is open for %v", from)
	}
	wantServes(t, m.busContainer.Args)
}

// checkChart runs 'switchyard check' on the files of the chart with the environment of its pod.
func checkChart(t *testing.T, config configMap, c container, code int, args ...string) string {
	t.Helper()
	folder := mounted(t, manifests{configMap: config})
	for _, v := range c.Env {
		if strings.HasPrefix(v.Name, "SWITCHYARD_") && v.Value != "" {
			t.Setenv(v.Name, v.Value)
		}
	}
	return run(t, folder, code, append([]string{"check", "--config", filepath.Join(folder, "config.toml")}, args...)...)
}

func TestChartConfiguration(t *testing.T) {
	m := renderSingle(t)
	if out := checkChart(t, m.configMap, m.container(t), 0); !strings.Contains(out, "policy file:routes.toml") {
		t.Errorf("check says\n%s", out)
	}
	folder := mounted(t, m)
	run(t, folder, 0, "policy", "diff", "teamtalk", "routes.toml") // alike
}

// With metrics, the hub serves them on the port that the PodMonitor asks and the network policy
// opens for scrapers, under the name of the job that the alerts know.
func TestChartMetrics(t *testing.T) {
	var m manifests
	var monitor podMonitor
	decodeObjects(t, rendered(t, "metrics.enabled=true", "metrics.podMonitor.enabled=true", "metrics.podMonitor.labels.release=prometheus"), map[string]any{
		"v1 ConfigMap switchyard":                        &m.configMap,
		"apps/v1 Deployment switchyard":                  &m.deployment,
		"v1 Service switchyard":                          &m.service,
		"policy/v1 PodDisruptionBudget switchyard":       &m.disruptionBudget,
		"networking.k8s.io/v1 NetworkPolicy switchyard":  &m.networkPolicy,
		"monitoring.coreos.com/v1 PodMonitor switchyard": &monitor,
	})
	c := m.container(t)
	if len(c.Ports) != 2 || c.Ports[1].Name != "metrics" || c.Ports[1].ContainerPort != 9280 {
		t.Errorf("ports %+v", c.Ports)
	}
	if s := monitor.Spec; len(s.PodMetricsEndpoints) != 1 || s.PodMetricsEndpoints[0].Port != "metrics" || !maps.Equal(s.Selector.MatchLabels, m.deployment.Spec.Template.Metadata.Labels) ||
		m.deployment.Spec.Template.Metadata.Labels[s.JobLabel] != "switchyard" || monitor.Metadata.Labels["release"] != "prometheus" {
		t.Errorf("got %+v", monitor)
	}
	alerts, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "switchyard.rules.yml"))
	if err != nil || !strings.Contains(string(alerts), `up{job="switchyard"}`) {
		t.Errorf("the alerts know another job: %v", err)
	}
	in := m.networkPolicy.Spec.Ingress
	if len(in) != 2 || in[1].Ports[0].Port != "metrics" || in[1].From[0].PodSelector.MatchLabels["app.kubernetes.io/name"] != "prometheus" {
		t.Errorf("the network policy lets in %+v", in)
	}
	checkChart(t, m.configMap, c, 0)
	t.Setenv("SWITCHYARD_METRICS__ALLOW", "") // so the variables above are those that count
	m.deployment.Spec.Template.Spec.Containers[0].Env = nil
	if out := checkChart(t, m.configMap, m.container(t), 78); !strings.Contains(out, "metrics") {
		t.Errorf("check says\n%s", out)
	}
}

// A hub of the chart's cluster finds the servers of the bus by the names that the certificate has.
func TestChartCluster(t *testing.T) {
	m := renderCluster(t)
	env := map[string]string{}
	for _, v := range m.hubContainer.Env {
		env[v.Name] = v.Value + v.ValueFrom.FieldRef.FieldPath
	}
	if want := "tls://switchyard-bus-0.switchyard-bus:4222,tls://switchyard-bus-1.switchyard-bus:4222,tls://switchyard-bus-2.switchyard-bus:4222"; env["SWITCHYARD_CLUSTER__SERVERS"] != want {
		t.Errorf("the servers are %s", env["SWITCHYARD_CLUSTER__SERVERS"])
	}
	if got := env["SWITCHYARD_CLUSTER__HUB"]; got != "metadata.labels['apps.kubernetes.io/pod-index']" {
		t.Errorf("a hub's number is %s", got)
	}
	out := checkChart(t, m.configMap, m.hubContainer, 78, "--set", "cluster.hub=1", "--set", "cluster.servers=nats://127.0.0.1:1", "--set", "cluster.credentials=", "--set", "cluster.ca=")
	if !strings.Contains(out, "cluster production: no server of the bus is connected: nats://127.0.0.1:1") {
		t.Errorf("check says\n%s", out)
	}
	_, notes, err := render(t, "cluster.enabled=true")
	if err != nil || strings.Count(notes, ".switchyard-bus\n") != 3 || !strings.Contains(notes, "switchyard-bus-2.switchyard-bus\n") {
		t.Errorf("it prints\n%s%v", notes, err)
	}
	readme, err := os.ReadFile(filepath.Join(chart, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	// The certificate is made before Helm prints its names.
	for i := range 3 {
		if name := fmt.Sprintf("switchyard-bus-%d.switchyard-bus", i); !strings.Contains(string(readme), "DNS:"+name) || !strings.Contains(notes, name) {
			t.Errorf("%s is not in both the chart's README and what Helm prints", name)
		}
	}
	outside := string(rendered(t, "cluster.enabled=true", "cluster.bus.enabled=false", "cluster.servers=[tls://a:4222, tls://b:4222]"))
	if strings.Contains(outside, "yardbus") || !strings.Contains(outside, `value: "tls://a:4222,tls://b:4222"`) {
		t.Errorf("with another bus it renders\n%s", outside)
	}
}

// State that must outlive the pod is in a volume that outlives the release as well.
func TestChartState(t *testing.T) {
	var m manifests
	var kept volumeClaim
	decodeObjects(t, rendered(t, "state.persistent=true", "state.storageClass=fast", "existingConfigMap=mine", "podDisruptionBudget.enabled=false", "networkPolicy.enabled=false"), map[string]any{
		"apps/v1 Deployment switchyard":       &m.deployment,
		"v1 Service switchyard":               &m.service,
		"v1 PersistentVolumeClaim switchyard": &kept,
	})
	volumes := m.deployment.Spec.Template.Spec.Volumes
	if kept.Metadata.Annotations["helm.sh/resource-policy"] != "keep" || kept.Spec.StorageClassName != "fast" || kept.Spec.Resources.Requests["storage"] != "256Mi" ||
		volumes[1].PersistentVolumeClaim.ClaimName != "switchyard" || volumes[0].ConfigMap.Name != "mine" {
		t.Errorf("the claim is %+v, the volumes are %+v", kept, volumes)
	}
	c := renderCluster(t, "state.persistent=true")
	if claims := c.hubs.Spec.VolumeClaimTemplates; len(claims) != 1 || claims[0].Metadata.Name != "state" {
		t.Errorf("the claims are %+v", claims)
	}
}

// An image is named by its digest, or else by its tag.
func TestChartImages(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	for change, want := range map[string]string{
		"image.tag=1.5.0":        "registry.example/switchyard:1.5.0",
		"image.digest=" + digest: "registry.example/switchyard@" + digest,
		"image.repository=r/s":   "r/s:0.0.0",
	} {
		m := renderSingle(t, change)
		if got := m.container(t).Image; got != want {
			t.Errorf("%s: %s, want %s", change, got, want)
		}
	}
}

// The commands of documents set values that exist, and render.
func TestChartCommands(t *testing.T) {
	var text []byte
	for _, name := range []string{filepath.Join(chart, "README.md"), filepath.Join(root, "docs", "install.md")} {
		document, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, document...)
	}
	found := 0
	for _, line := range regexp.MustCompile(`(?m)^helm (?:install|upgrade) switchyard (?:deploy/helm/switchyard|switchyard-1.5.0-chart.tgz)(.*)$`).FindAllStringSubmatch(string(text), -1) {
		found++
		var changes []string
		for _, set := range regexp.MustCompile(`--set (\S+)`).FindAllStringSubmatch(line[1], -1) {
			changes = append(changes, set[1])
		}
		if strings.Contains(line[1], "--set-file 'files.routes\\.toml=") {
			changes = append(changes, `files.routes.toml='extends = "teamtalk"'`)
		}
		if len(changes) == 0 {
			t.Errorf("%s sets nothing", line[0])
		}
		rendered(t, changes...)
	}
	if found != 5 {
		t.Errorf("found %d commands", found)
	}
}

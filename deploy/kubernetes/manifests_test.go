package kubernetes

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

const root = "../.."

// manifests are all objects of this folder.
type manifests struct {
	configMap        configMap
	deployment       deployment
	service          service
	disruptionBudget disruptionBudget
	networkPolicy    networkPolicy
}

// readManifests reads them strictly.
func readManifests(t *testing.T) (m manifests) {
	t.Helper()
	readObjects(t, "*.yaml", map[string]any{
		"v1 ConfigMap switchyard":                       &m.configMap,
		"apps/v1 Deployment switchyard":                 &m.deployment,
		"v1 Service switchyard":                         &m.service,
		"policy/v1 PodDisruptionBudget switchyard":      &m.disruptionBudget,
		"networking.k8s.io/v1 NetworkPolicy switchyard": &m.networkPolicy,
	})
	return m
}

// readObjects reads the objects of files by version, kind and name, each once and without unknown
// fields.
func readObjects(t *testing.T, files string, objects map[string]any) {
	t.Helper()
	names, err := filepath.Glob(files)
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, "---\n"...), text...)
	}
	for _, h := range decodeObjects(t, all, objects) {
		if h.Metadata.Labels["app.kubernetes.io/name"] != h.Metadata.Name {
			t.Errorf("%s, %s: labelled %v", files, h.Metadata.Name, h.Metadata.Labels)
		}
	}
}

// decodeObjects decodes documents into objects, as readObjects does, and returns their heads.
func decodeObjects(t *testing.T, text []byte, objects map[string]any) (heads []head) {
	t.Helper()
	for documents := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var node yaml.Node
		if err := documents.Decode(&node); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if node.Content[0].Tag == "!!null" {
			continue
		}
		var h head
		if err := node.Decode(&h); err != nil {
			t.Fatal(err)
		}
		object := h.APIVersion + " " + h.Kind + " " + h.Metadata.Name
		into, ok := objects[object]
		if !ok {
			t.Fatalf("%q is unknown or occurs twice", object)
		}
		delete(objects, object)
		again, err := yaml.Marshal(&node)
		if err != nil {
			t.Fatal(err)
		}
		strict := yaml.NewDecoder(bytes.NewReader(again))
		strict.KnownFields(true)
		if err := strict.Decode(into); err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		heads = append(heads, h)
	}
	for object := range objects {
		t.Fatalf("there is no %s", object)
	}
	return heads
}

func (m manifests) container(t *testing.T) container {
	t.Helper()
	return m.deployment.Spec.Template.Spec.container(t)
}

func (p pod) container(t *testing.T) container {
	t.Helper()
	if len(p.Containers) != 1 {
		t.Fatalf("%d containers, want one", len(p.Containers))
	}
	return p.Containers[0]
}

// Objects refer to each other by existing names and labels.
func TestManifestsBelongTogether(t *testing.T) {
	m := readManifests(t)
	labels := m.deployment.Spec.Template.Metadata.Labels
	for what, selected := range map[string]map[string]string{
		"Deployment":          m.deployment.Spec.Selector.MatchLabels,
		"Service":             m.service.Spec.Selector,
		"PodDisruptionBudget": m.disruptionBudget.Spec.Selector.MatchLabels,
		"NetworkPolicy":       m.networkPolicy.Spec.PodSelector.MatchLabels,
	} {
		if len(selected) == 0 || !maps.Equal(selected, labels) {
			t.Errorf("%s selects %v, the pods are labelled %v", what, selected, labels)
		}
	}
	c := m.container(t)
	if len(c.Ports) != 1 || len(m.service.Spec.Ports) != 1 {
		t.Fatalf("ports %+v of the container and %+v of the service, want one each", c.Ports, m.service.Spec.Ports)
	}
	port := c.Ports[0]
	if target := m.service.Spec.Ports[0]; target.TargetPort != port.Name || target.Port != port.ContainerPort {
		t.Errorf("the service leads to %+v, the container has %+v", target, port)
	}
	ingress := m.networkPolicy.Spec.Ingress
	if len(ingress) != 1 || len(ingress[0].Ports) != 1 || ingress[0].Ports[0].Port != port.Name || len(ingress[0].From) != 1 || len(ingress[0].From[0].PodSelector.MatchLabels) == 0 {
		t.Errorf("the network policy lets in %+v, want one port from pods with a label", ingress)
	}
	if !slices.Equal(m.networkPolicy.Spec.PolicyTypes, []string{"Ingress", "Egress"}) {
		t.Errorf("the network policy is about %v", m.networkPolicy.Spec.PolicyTypes)
	}
}

// There is at most one hub at any moment, and only an operator moves it.
func TestThereIsOneHub(t *testing.T) {
	m := readManifests(t)
	if s := m.deployment.Spec; s.Replicas != 1 || s.Strategy.Type != "Recreate" {
		t.Errorf("%d replicas by %s, want one that stops before the next starts", s.Replicas, s.Strategy.Type)
	}
	if b := m.disruptionBudget.Spec; b.MinAvailable != 1 || b.UnhealthyPodEvictionPolicy != "AlwaysAllow" {
		t.Errorf("got %+v", b)
	}
}

// The pod has no rights that it does not need.
func TestPodIsConfined(t *testing.T) {
	wantConfined(t, readManifests(t).deployment.Spec.Template.Spec)
}

func wantConfined(t *testing.T, p pod) {
	t.Helper()
	c := p.container(t)
	if s := p.SecurityContext; !s.RunAsNonRoot || s.RunAsUser != 65532 || s.RunAsGroup != 65532 || s.FSGroup != 65532 || s.SeccompProfile.Type != "RuntimeDefault" {
		t.Errorf("the pod's context is %+v", s)
	}
	if s := c.SecurityContext; s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container's context is %+v", s)
	}
	if a := p.AutomountServiceAccountToken; a == nil || *a {
		t.Error("it has a service account token, which it does not need")
	}
	if e := p.EnableServiceLinks; e == nil || *e {
		t.Error("variables of other services are in its environment, and those of a service \"switchyard\" look like keys of the configuration")
	}
}

// The mounted folder follows the ConfigMap, and the program can write its state.
func TestVolumes(t *testing.T) {
	m := readManifests(t)
	mounts := map[string]string{}
	for _, v := range m.container(t).VolumeMounts {
		mounts[v.Name] = v.MountPath
		if v.SubPath != "" {
			t.Errorf("%s is mounted by subPath, so it never changes", v.Name)
		}
		if v.ReadOnly != (v.Name == "configuration") {
			t.Errorf("%s: read-only is %v", v.Name, v.ReadOnly)
		}
	}
	if want := map[string]string{"configuration": "/etc/switchyard", "state": "/var/lib/switchyard"}; !maps.Equal(mounts, want) {
		t.Errorf("mounted are %v, want %v", mounts, want)
	}
	volumes := m.deployment.Spec.Template.Spec.Volumes
	if len(volumes) != 2 || volumes[0].Name != "configuration" || volumes[0].ConfigMap.Name != m.configMap.Metadata.Name ||
		volumes[1].Name != "state" || volumes[1].EmptyDir == nil || bytesOf(t, volumes[1].EmptyDir.SizeLimit) == 0 {
		t.Errorf("volumes are %+v", volumes)
	}
}

var quantity = regexp.MustCompile(`^(\d+)([KMG]i)B?$`)

func bytesOf(t *testing.T, q string) float64 {
	t.Helper()
	found := quantity.FindStringSubmatch(q)
	if found == nil {
		t.Fatalf("%q is not a size", q)
	}
	n, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n * map[string]float64{"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[found[2]]
}

func TestResources(t *testing.T) {
	wantResources(t, readManifests(t).container(t))
}

// wantResources compares the memory limits of Go and of the container, and wants no limit of CPU.
func wantResources(t *testing.T, c container) {
	t.Helper()
	if len(c.Env) == 0 || c.Env[0].Name != "GOMEMLIMIT" {
		t.Fatalf("the environment is %v, want GOMEMLIMIT", c.Env)
	}
	limit := bytesOf(t, c.Resources.Limits["memory"])
	if share := bytesOf(t, c.Env[0].Value) / limit; share < 0.8 || share > 0.95 {
		t.Errorf("GOMEMLIMIT is %.2f of the limit, want 0.8 to 0.95", share)
	}
	if c.Resources.Limits["cpu"] != "" || c.Resources.Requests["cpu"] == "" {
		t.Errorf("CPU: %+v, want a request and no limit", c.Resources)
	}
	if request := c.Resources.Requests["memory"]; bytesOf(t, request) != limit {
		t.Errorf("%s requested of %s: what is not requested may be taken back", request, c.Resources.Limits["memory"])
	}
}

// program is switchyard, built once.
var program = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "switchyard")
	if err != nil {
		return "", err
	}
	out := filepath.Join(folder, "switchyard")
	build := exec.Command("go", "build", "-o", out, "./cmd/switchyard")
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		return "", errors.New(string(text))
	}
	return out, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if exe, err := program(); err == nil {
		os.RemoveAll(filepath.Dir(exe))
	}
	os.Exit(code)
}

// run runs switchyard as the image does, in a folder with the ConfigMap's files, and checks
// the exit code.
func run(t *testing.T, folder string, want int, args ...string) string {
	t.Helper()
	exe, err := program()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+folder)
	out, _ := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != want {
		t.Errorf("%q: exit code %d, want %d:\n%s", args, code, want, out)
	}
	return string(out)
}

// mounted writes the ConfigMap's files into a folder.
func mounted(t *testing.T, m manifests) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range m.configMap.Data {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestConfigurationIsSound(t *testing.T) {
	m := readManifests(t)
	folder := mounted(t, m)
	if args := m.container(t).Args; !slices.Equal(args, []string{"serve", "--config", "/etc/switchyard/config.toml"}) {
		t.Errorf("the container starts it with %q", args)
	}
	out := run(t, folder, 0, "check", "--config", filepath.Join(folder, "config.toml"))
	if !strings.Contains(out, "policy file:routes.toml") {
		t.Errorf("the ConfigMap's table is not in force:\n%s", out)
	}
	if want := `address = ":` + strconv.Itoa(m.container(t).Ports[0].ContainerPort) + `"`; !strings.Contains(m.configMap.Data["config.toml"], want) {
		t.Errorf("the listener has another port than the container: want %s", want)
	}
	cases, err := filepath.Abs(filepath.Join(root, "plugins", "teamtalk", "cases.toml"))
	if err != nil {
		t.Fatal(err)
	}
	run(t, folder, 0, "policy", "test", "routes.toml", cases)
	run(t, folder, 0, "policy", "diff", "teamtalk", "routes.toml") // alike
}

// The probes use admin's default address, and their timeout is longer than the command's.
func TestProbes(t *testing.T) {
	m := readManifests(t)
	c := m.container(t)
	defaults, err := os.ReadFile(filepath.Join(root, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(m.configMap.Data["config.toml"], "[admin]") || !strings.Contains(string(defaults), `address = "127.0.0.1:8280"`) {
		t.Error("admin does not listen on 127.0.0.1:8280")
	}
	wantProbes(t, c)
	// 69 and not 64: the command and its flags exist, and nothing listens on port 1.
	run(t, t.TempDir(), 69, "health", "--ready", "--address", "127.0.0.1:1")
}

// wantProbes wants the probes of a hub.
func wantProbes(t *testing.T, c container) {
	t.Helper()
	asks := []string{"/switchyard", "health", "--address", "127.0.0.1:8280"}
	asksReady := []string{"/switchyard", "health", "--ready", "--address", "127.0.0.1:8280"}
	for what, p := range map[string]struct {
		probe
		command []string
	}{
		"startup":   {c.StartupProbe, asks},
		"liveness":  {c.LivenessProbe, asks},
		"readiness": {c.ReadinessProbe, asksReady},
	} {
		if !slices.Equal(p.Exec.Command, p.command) {
			t.Errorf("%s asks by %q, want %q", what, p.Exec.Command, p.command)
		}
		if p.TimeoutSeconds != 6 || p.PeriodSeconds < 1 || p.FailureThreshold < 2 {
			t.Errorf("%s: %+v; want a timeout above the command's 5s and more than one failure", what, p.probe)
		}
	}
	if s := c.StartupProbe; s.PeriodSeconds*s.FailureThreshold < 180 {
		t.Errorf("starting may take %ds, as under systemd it is 180s", s.PeriodSeconds*s.FailureThreshold)
	}
}

func TestGrace(t *testing.T) {
	wantGrace(t, readManifests(t).deployment.Spec.Template.Spec)
}

// wantGrace wants a grace period for the drain and 15s for the rest.
func wantGrace(t *testing.T, p pod) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config.toml"))
	if err != nil {
		t.Fatal(err)
	}
	drain := regexp.MustCompile(`(?s)\n\[drain\]\n.*?\ntimeout = "(\d+)s"`).FindSubmatch(text)
	if drain == nil {
		t.Fatal("config.toml has no drain.timeout in seconds")
	}
	seconds, err := strconv.Atoi(string(drain[1]))
	if err != nil {
		t.Fatal(err)
	}
	if grace := p.TerminationGracePeriodSeconds; grace != seconds+15 {
		t.Errorf("the grace is %ds, the drain takes %ds", grace, seconds)
	}
}

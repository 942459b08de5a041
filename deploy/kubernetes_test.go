package deploy

import (
	"os/exec"
	"testing"
)

// The manifests are checked in a module of their own, so that a reader of YAML is none
// of the server's dependencies.
func TestKubernetes(t *testing.T) {
	test := exec.CommandContext(t.Context(), "go", "test", "-count=1", "./...")
	test.Dir = "kubernetes"
	t.Log(execute(t, test))
}

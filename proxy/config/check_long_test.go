//go:build full || race

package config

import (
	"fmt"
	"strings"
	"testing"
)

// A check that compared every tenant with every other would not end in time here.
func TestManyFaults(t *testing.T) {
	t.Parallel()
	const tenants, misspelt = 1000, 250
	var names, claims, unknown strings.Builder
	for i := range tenants {
		fmt.Fprintf(&names, "\"t%d\",", i)
		fmt.Fprintf(&claims, "[tenant.t%d]\nclaims.networks = [\"10.0.0.0/8\"]\n", i)
	}
	for i := range misspelt {
		fmt.Fprintf(&unknown, "[tenant.t%d]\nnothing_like_that = 1\n", i)
	}
	listener := listenerWith(`address = "[::1]:1"`, `tenant = "t0"`, `tenants = [`+names.String()+`]`)
	for source, faults := range map[string]int{
		strings.Replace(listener, `"t0"`, `""`, 1) + claims.String(): tenants - 1, // each with the first
		unknown.String():            misspelt + 1, // and one for the missing tenant default
		listener + unknown.String(): misspelt + tenants + 1,
	} {
		_, err := loadSource(source)
		if got, _ := err.(Faults); len(got) != faults {
			t.Errorf("got %d faults, want %d", len(got), faults)
		}
	}
}

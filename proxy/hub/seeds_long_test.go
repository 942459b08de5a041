//go:build full || race

package hub_test

import "testing"

// The race detector runs these tests. It would take minutes for TestRandomTrafficOfManySeeds.

func TestRandomTrafficOfSomeSeeds(t *testing.T) { randomTraffics(t, 10) }

func TestSharedTenantOfManySeeds(t *testing.T) { sharedTenants(t, 20) }

//go:build full

package hub_test

import "testing"

func TestStandbyLinksOfManySeeds(t *testing.T) { standbyHistories(t, 100) }

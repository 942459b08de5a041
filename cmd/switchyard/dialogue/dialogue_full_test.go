//go:build full

package dialogue

import "testing"

// A dialogue that is silent for two seconds in all.
func TestPlaySplitPoints(t *testing.T) { playRecorded(t, "split_points") }

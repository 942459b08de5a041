//go:build full

package cluster

import "testing"

// TestMovedHubGoesOnAsTheOther, a hundred times more.
func TestMovedHubGoesOnOften(t *testing.T) { playMovesOf(t, 20, 120) }

//go:build full

package proxy

import "testing"

func TestFreezeAThousandTimes(t *testing.T) { freezeUnderTraffic(t, 250) }

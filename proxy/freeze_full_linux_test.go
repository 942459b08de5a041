//go:build full

package proxy

import "testing"

func TestFreezeAThousandTimes(t *testing.T) { freezeUnderTraffic(t, 250) }

func TestManyHandoversLeaveNothingBehind(t *testing.T) { leaveNothingBehind(t, 500) }

func TestTrafficAcrossManyHandovers(t *testing.T) {
	limits := testLimits()
	limits.Timeout = 0 // the traffic may be over long before the last handover
	talkAcrossHandovers(t, newLine(t, limits), 6000, 100)
}

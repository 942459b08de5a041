//go:build full

package proxy

import "testing"

func TestFreezeAThousandTimes(t *testing.T) { freezeUnderTraffic(t, 250) }

func TestManyHandoversLeaveNothingBehind(t *testing.T) { leaveNothingBehind(t, 500) }

func TestTrafficAcrossManyHandovers(t *testing.T) {
	talkAcrossHandovers(t, newLine(t, patient(testLimits())), 6000, 100)
}

//go:build full

package server

import (
	"errors"
	"strings"
	"testing"

	"switchyard/proxy/cluster"
	"switchyard/proxy/order/ordertest"
)

// A server whose number is taken ends, and names the other one.
func TestNumberIsTaken(t *testing.T) {
	bus := ordertest.NewBus()
	one := serveOn(t, bus, 1)
	one.expect("listening", 1)
	again := serveOn(t, bus, 1)
	again.stop(errors.New("cluster.hub = 1 is the number of a hub that runs already"))
	if !one.tenant("a").Order().(*cluster.Member).Entered() || strings.Contains(one.log.String(), "stopping") {
		t.Error("the first server ends as well")
	}
}

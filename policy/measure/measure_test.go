//go:build full || race

package measure

import (
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/plugins/teamtalk"
	"switchyard/policy"
	"switchyard/policy/wasm"
)

var little = Effort{Rounds: 3, Time: time.Millisecond}

func guest(t *testing.T, name string) []byte {
	t.Helper()
	module, err := os.ReadFile("../wasm/testdata/" + name + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	return module
}

func costs(t *testing.T, module []byte) []Cost {
	t.Helper()
	e := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer e.Close()
	p, err := e.Load(context.Background(), "test", module, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	costs := Costs(p, little)
	for _, c := range costs {
		if c.Nanos <= 0 || c.Least > c.Nanos || c.Nanos > c.Most {
			t.Errorf("%+v: want a median between the least and the most", c)
		}
	}
	return costs
}

func questions(costs []Cost) (q []string) {
	for _, c := range costs {
		q = append(q, c.Question)
	}
	return q
}

func TestCosts(t *testing.T) {
	table := costs(t, teamtalk.Module)
	if got, want := questions(table), []string{Remembered, Alike, Compared, Classify}; !slices.Equal(got, want) {
		t.Errorf("a table is asked %v, want %v", got, want)
	}
	if table[0].Fuel != 0 || table[3].Fuel == 0 {
		t.Errorf("fuel: %+v", table)
	}
	sound := costs(t, guest(t, "sound"))
	if got, want := questions(sound), []string{Remembered, Alike, Compared, Classify, Inspect, InspectBody, InspectBody, InspectBody}; !slices.Equal(got, want) {
		t.Errorf("a guest that inspects is asked %v, want %v", got, want)
	}
	if small, large := sound[5], sound[7]; large.Fuel < small.Fuel+1000/16 || large.Body != 4096 {
		t.Errorf("4096 bytes take %d units, 16 bytes %d", large.Fuel, small.Fuel)
	}
	trap := costs(t, guest(t, "trap"))
	if got := trap[len(trap)-1]; got.Question != Inspect || got.Fault != string(policy.FaultTrap) {
		t.Errorf("a guest that traps: %+v", got)
	}
}

func TestLoad(t *testing.T) {
	l, err := Load("test", guest(t, "sound"), nil, wasm.DefaultLimits(), little)
	if err != nil || l.Nanos <= 0 || l.Memory != 3<<16 || l.Module == 0 {
		t.Errorf("got %+v, %v", l, err)
	}
	var gate *wasm.GateError
	if _, err := Load("test", guest(t, "component"), nil, wasm.DefaultLimits(), little); !errors.As(err, &gate) {
		t.Errorf("a component: %v, want a *wasm.GateError", err)
	}
}

// Samples are valid messages of about the requested size.
func TestSample(t *testing.T) {
	c, _ := pdu.CommandByID(pdu.CID_MSG_DATA)
	for _, size := range bodies {
		b := sample(c, size)
		var m pb.IMMsgData
		if err := proto.Unmarshal(b, &m); err != nil || m.GetFromUserId() != 1 {
			t.Errorf("%d bytes: %v, from user %d", size, err, m.GetFromUserId())
		}
		if n := len(b); n < size-4 || n > size {
			t.Errorf("%d bytes, want about %d", n, size)
		}
	}
}

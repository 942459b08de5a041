package replay

import (
	"bytes"
	"reflect"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/capture"
)

// limitedChats are the usual rules with a rate limit for CID_MSG_DATA.
type limitedChats struct {
	rules
	limit policy.RateLimit
}

func (l limitedChats) RateLimits() policy.RateLimits { return policy.RateLimits{l.limit} }

// Rate limits of a replay count by the times of the records.
func TestLimitsByRecordedTime(t *testing.T) {
	p := newTape(t, bodies)
	p.joined(1, 2)
	for range 100 { // one each millisecond
		p.says(1, pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte("hello")))
	}
	limited := limitedChats{rules{pdu.CID_MSG_DATA: policy.Verdict(abi.BroadcastExceptSender).WithLimit(1)},
		policy.RateLimit{Peer: policy.Rate{PDUs: 100, Period: policy.Second, Burst: 5}}}
	r, err := Run(capture.NewReader(bytes.NewReader(p.file.Bytes())), "", Policy{Name: "before", Policy: rules{}}, Policy{Name: "after", Policy: limited})
	if err != nil {
		t.Fatal(err)
	}
	c := command(t, r.Policies[1], pdu.CID_MSG_DATA)
	if want := (Tally{"over-limit": 86}); c.Copies != 14 || !reflect.DeepEqual(c.Dropped, want) {
		t.Errorf("%d copies, dropped %v; want 14 and %v: a burst of 5, and one each 10 ms of 99", c.Copies, c.Dropped, want)
	}
	want := Changes{{Before: "broadcast-except-sender", After: "drop, over a limit", PDUs: 86}}
	if !reflect.DeepEqual(c.FromFirst, want) || !reflect.DeepEqual(c.FromRecorded, want) {
		t.Errorf("changes %v and %v, want %v", c.FromFirst, c.FromRecorded, want)
	}
}

package dialogue

import (
	"testing"
	"time"
)

func TestNeedsSilence(t *testing.T) {
	cut := message(1)[:20]
	for _, test := range []struct {
		name    string
		peer    *peer
		closing bool
		want    bool
	}{
		{"nothing sent", &peer{}, false, false},
		{"whole PDU sent", &peer{unsettled: true}, false, false},
		{"part sent", &peer{unsettled: true, outgoing: stream{rest: cut}}, false, true},
		{"part sent before the last settling", &peer{outgoing: stream{rest: cut}}, false, false},
		{"sent and closed", &peer{unsettled: true, ended: time.Now()}, false, true},
		{"sent and shut", &peer{unsettled: true, shut: true}, false, true},
		{"a peer left", &peer{}, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSession(lone(""))
			s.closing = test.closing
			s.peers = []*peer{test.peer}
			if got := s.needsSilence(); got != test.want {
				t.Errorf("needs silence: %t, want %t", got, test.want)
			}
			if s.needsSilence() {
				t.Error("silence is needed twice")
			}
		})
	}
}

func TestSettleAsksTwice(t *testing.T) {
	f := fake{}
	s := newSession(lone(f.start(t)))
	defer s.close()
	for _, name := range []string{"A", "B"} {
		if _, err := s.open(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.settle(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if got, want := s.requests, 4; got != want {
		t.Errorf("%d settling requests on two connections, want %d", got, want)
	}
	for _, c := range s.transcript("").Conns {
		if len(c.PDUs) != 0 {
			t.Errorf("connection %s: the answers are in the transcript: %v", c.Name, c.PDUs)
		}
	}
}

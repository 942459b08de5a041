package hub

import "switchyard/policy"

// A stage that splits connections may be the reason why sessions end: peers that do not get along
// with the candidate crash or fall behind. So their ends are counted, by side, and compared with how
// many sessions there are on each.

// isOfPeer reports whether a session may end for the reason because of what its peer was sent. The
// other reasons are those of the server and its operators. A verdict that closes is compared for its
// PDU.
func (why Reason) isOfPeer() bool {
	switch why {
	case PeerClosed, PeerReset, BadLength, IdleTimeout, WriteTimeout, SlowConsumer, UrgentData, PDUTimeout, InputFull:
		return true
	}
	return false
}

// countEnd counts the end of the session in a stage, which may be nil.
func (s *Seat) countEnd(stage *policy.Stage, why Reason) {
	if stage == nil || !why.isOfPeer() || s.Session() == 0 {
		return
	}
	if side := stage.ConnectionSide(s.reader.connection); side != policy.Alike {
		s.hub.mu.Lock()
		defer s.hub.mu.Unlock()
		stage.Tally.Ended[side-policy.Stable]++
	}
}

// CandidateShare returns the share of the open sessions whose peers are on the candidate's side; 0
// if the stage does not split connections.
func (h *Hub) CandidateShare(stage *policy.Stage) float64 {
	if stage.Split.Unit != policy.UnitConnection {
		return 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var sides [3]int
	for s := range h.seats {
		if s.Session() != 0 {
			sides[stage.ConnectionSide(s.reader.connection)]++
		}
	}
	if sides[policy.Candidate] == 0 {
		return 0
	}
	return float64(sides[policy.Candidate]) / float64(sides[policy.Stable]+sides[policy.Candidate])
}

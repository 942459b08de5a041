package hub_test

import (
	"fmt"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/hub"
)

// broadcast is a policy that sends every PDU to all peers but its sender.
type broadcast struct{}

func (broadcast) Classify(pdu.ServiceID, pdu.CommandID) (policy.Verdict, error) {
	return abi.BroadcastExceptSender, nil
}
func (broadcast) Inspect(v policy.Verdict, _ policy.Question) (policy.Verdict, error) {
	return v, nil
}
func (broadcast) Close() error { return nil }

// A quietPeer ignores what the hub reports.
type quietPeer struct{}

func (quietPeer) Noted(hub.Note)   {}
func (quietPeer) Close(hub.Reason) {}

// A hub with two peers: what the first one sends becomes due to the second one.
func ExampleHub() {
	active := policy.NewActive(policy.NewGeneration("broadcast", "", broadcast{}))
	defer active.Close()
	h := hub.New(active, 64<<20)
	sender, receiver := h.Join(quietPeer{}), h.Join(quietPeer{})

	// The reader of a connection hands over whole PDUs.
	batch := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 1, []byte("hello"))
	if err := h.Handle(sender, batch); err != nil {
		fmt.Println(err)
	}

	// The writer of a connection asks for what is due, writes it, and reports how much.
	for _, s := range []*hub.Seat{sender, receiver} {
		written := 0
		for _, piece := range s.Due(make([][]byte, 0, 16), h.Head(), 1<<20) {
			fmt.Printf("session %d gets %q\n", s.Session(), piece[pdu.HeaderLen:])
			written += len(piece)
		}
		s.Sent(written)
	}

	// At the end of a connection, what was not written counts as discarded.
	for _, s := range []*hub.Seat{sender, receiver} {
		h.Leave(s)
		s.Release(hub.PeerClosed)
	}
	c := h.Counts()
	fmt.Printf("received %d, delivered %d of %d\n", c.Received, c.Delivered, c.Due)
	// Output:
	// session 2 gets "hello"
	// received 1, delivered 1 of 1
}

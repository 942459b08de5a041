package switchyard_test

import (
	"fmt"

	"policy/switchyard"
)

// recipient is field 2 of CID_MSG_DATA.
const recipient = 2

// classify decides by the ids alone, or leaves a command to an inspection. In a policy
// it carries the directive //go:wasmexport classify.
func classify(_ switchyard.Service, command switchyard.Command) switchyard.Verdict {
	switch command {
	case switchyard.CID_OTHER_HEARTBEAT:
		return switchyard.Consume
	case switchyard.CID_MSG_DATA:
		return switchyard.BroadcastExceptSender.InspectBody()
	}
	return switchyard.Drop.Log()
}

// chat sends a chat to the servers of its recipient. A policy calls it from its
// inspect_body, with the body that switchyard.Given returns.
func chat(body []byte) switchyard.Verdict {
	verdict := switchyard.BroadcastExceptSender
	s := switchyard.Scan(body)
	for s.Next() {
		if s.Is(recipient, switchyard.Varint) {
			verdict = switchyard.UnicastUser(uint32(s.Value)).NotSender().ElseBroadcast()
		}
	}
	if !s.Readable() {
		return switchyard.BroadcastExceptSender
	}
	return verdict
}

// A policy decides by ids, and by the body where its classify asks for it. Its functions
// run in a native test as they do in the server.
func Example() {
	fmt.Println(classify(7, switchyard.CID_OTHER_HEARTBEAT) == switchyard.Consume)
	fmt.Println(chat([]byte{recipient << 3, 42}) == switchyard.UnicastUser(42).NotSender().ElseBroadcast())
	fmt.Println(chat([]byte{recipient << 3}) == switchyard.BroadcastExceptSender) // cut off
	// Output:
	// true
	// true
	// true
}

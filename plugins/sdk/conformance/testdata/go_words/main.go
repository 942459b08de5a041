// Command policy drops chats that contain a forbidden word. It allocates some 10 KB for each
// chat of 2 KB.
package main

import (
	"strings"

	"policy/switchyard"
)

func main() {}

//go:wasmexport classify
func classify(switchyard.Service, switchyard.Command) switchyard.Verdict {
	return switchyard.Drop.InspectBody()
}

//go:wasmexport inspect_body
func inspectBody(_, n uint32, _, _, _ uint64, _ switchyard.Attributes) switchyard.Verdict {
	for _, word := range strings.Fields(strings.ToLower(string(switchyard.Given(n)))) {
		if word == "forbidden" {
			return switchyard.Consume
		}
	}
	return switchyard.BroadcastExceptSender
}

package wasm_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/table"
	"switchyard/policy/wasm"
)

// Load a module, put it in force as a generation, and judge one PDU.
func Example() {
	module, err := table.Compile("routes.toml", []byte(`
[route]
CID_MSG_DATA = "broadcast-except-sender"
else         = "drop, log"
`))
	if err != nil {
		log.Fatal(err)
	}
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer engine.Close()
	loaded, err := engine.Load(context.Background(), "routes", module, nil)
	if err != nil {
		log.Fatal(err)
	}
	generation := policy.NewGeneration("routes", "", loaded)
	defer generation.Release() // closes the policy

	const session, attributes = 7, 0 // of the sender
	message := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 1, []byte("body"))
	verdict, fault := generation.Judge(message, session, attributes)
	if fault != nil {
		log.Fatal(fault)
	}
	fmt.Println(verdict)
	// Output: broadcast-except-sender
}

// The error of Load names the gate that refused the module, the reason and a remedy.
func ExampleGateError() {
	engine := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer engine.Close()
	_, err := engine.Load(context.Background(), "routes", []byte("(module)"), nil)
	fmt.Println(err)
	if refused, ok := errors.AsType[*wasm.GateError](err); ok {
		fmt.Println(refused.Gate)
	}
	// Output:
	// policy "routes" refused at the magic gate: this is WebAssembly's text format; translate it with wat2wasm
	// magic
}

package pdu_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"

	"switchyard/pdu"
)

// Two PDUs in one write arrive as one batch. Next finds the boundaries.
func ExampleReader() {
	server, client := net.Pipe()
	go func() {
		defer client.Close()
		stream := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)
		stream = pdu.Append(stream, pdu.SID_MSG, pdu.CID_MSG_DATA, 7, []byte("hello"))
		client.Write(stream)
	}()

	r := pdu.NewReader(server, pdu.DefaultMaxLen)
	for {
		batch, err := r.ReadBatch()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("batch of", len(batch), "bytes")
		for len(batch) > 0 {
			n, err := pdu.Next(batch, pdu.DefaultMaxLen)
			if err != nil {
				log.Fatal(err)
			}
			h := pdu.ParseHeader(batch)
			fmt.Printf("%s seq %d body %q\n", h.Command, h.Seq, batch[pdu.HeaderLen:n])
			batch = batch[n:]
		}
	}
	// Output:
	// batch of 37 bytes
	// CID_OTHER_HEARTBEAT seq 0 body ""
	// CID_MSG_DATA seq 7 body "hello"
}

package demo

import (
	"net"
	"time"

	"switchyard/pdu"
)

// A server is a msg_server. The goroutine of Run owns it, except for what read returns by ended.
type server struct {
	conn     net.Conn  // nil while it is not connected
	ended    chan int  // of the connection: PDUs that came, when it has ended; holds one
	received int       // PDUs on earlier connections
	dialAt   time.Time // not before this
	beatAt   time.Time // the next heartbeat
}

// up takes a new connection and starts to read from it. A msg_server that does not read would be
// closed as a slow consumer.
func (s *server) up(conn net.Conn) {
	s.conn, s.ended = conn, make(chan int, 1)
	go read(conn, s.ended)
}

// read counts what the hub sends, until the connection ends. server.close waits for it.
func read(conn net.Conn, ended chan<- int) {
	n := 0
	for r := pdu.NewReader(conn, pdu.DefaultMaxLen); ; {
		batch, err := r.ReadBatch()
		if err != nil {
			ended <- n
			return
		}
		for len(batch) > 0 {
			batch = batch[pdu.ParseHeader(batch).Length:]
			n++
		}
	}
}

// hasEnded reports whether the hub has closed the connection.
func (s *server) hasEnded() bool { return s.conn != nil && len(s.ended) > 0 }

// finish says that nothing more will come from the server. The hub then writes what is due to it,
// and closes.
func (s *server) finish() {
	if tcp, ok := s.conn.(interface{ CloseWrite() error }); ok {
		tcp.CloseWrite()
	} else {
		s.conn.Close()
	}
}

// await waits until the hub has closed the connection, until end at most.
func (s *server) await(end time.Time) {
	if s.conn != nil {
		s.conn.SetReadDeadline(end)
		n := <-s.ended
		s.ended <- n
	}
}

// close closes the connection, if there is one, and waits for its reader.
func (s *server) close() {
	if s.conn != nil {
		s.conn.Close()
		s.received += <-s.ended
		s.conn = nil
	}
}

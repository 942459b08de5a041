//go:build linux

package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"switchyard/pdu"
)

// What peers do; the first three behave. Each function is the life of one connection.

// talk sends PDUs of all known commands, and some unknown ones, and reads. Policies are called with
// headers and bodies of every kind by that.
func talk(ctx context.Context, c *conn) error {
	c.discard()
	if rand.IntN(2) == 0 {
		c.SetLinger(0) // it ends with a reset
	}
	return every(ctx, 10*time.Millisecond, lifetime(10*time.Second), func() error {
		command := pdu.Commands[rand.IntN(len(pdu.Commands))]
		if rand.IntN(10) == 0 {
			command = pdu.Command{Service: pdu.ServiceID(rand.Uint32()), ID: pdu.CommandID(rand.Uint32())}
		}
		return send(c, command.Service, command.ID, randomBody())
	})
}

// lifetime returns a random time of about d.
func lifetime(d time.Duration) time.Duration { return d/2 + rand.N(d) }

func send(c *conn, s pdu.ServiceID, id pdu.CommandID, body []byte) error {
	_, err := c.Write(pdu.Append(nil, s, id, 0, body))
	return err
}

// randomBody returns fields of a protobuf message, mostly a few and sometimes many.
func randomBody() []byte {
	n := rand.IntN(20)
	if rand.IntN(50) == 0 {
		n = rand.IntN(20_000)
	}
	var b []byte
	for range n {
		b = binary.AppendUvarint(b, uint64(1+rand.IntN(15))<<3)
		b = binary.AppendUvarint(b, uint64(rand.Uint32()>>rand.IntN(32)))
	}
	return b
}

// holdUsers announces users, changes and asks about them, and leaves.
func holdUsers(ctx context.Context, c *conn) error {
	c.discard()
	first := rand.Uint32N(100_000)
	if err := send(c, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, users(first, 1000)); err != nil {
		return err
	}
	return every(ctx, 10*time.Millisecond, lifetime(5*time.Second), func() error {
		user := first + rand.Uint32N(1000)
		switch rand.IntN(3) {
		case 0:
			ask := binary.AppendUvarint([]byte{0x08, 1, 0x10}, uint64(user))
			return send(c, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST, ask)
		default:
			return send(c, pdu.SID_OTHER, pdu.CID_OTHER_USER_STATUS_UPDATE, change(user, 1+rand.Uint32N(2)))
		}
	})
}

// holdManyUsers announces 100,000 users at once and leaves soon.
func holdManyUsers(ctx context.Context, c *conn) error {
	c.discard()
	if err := send(c, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, users(1<<20, 100_000)); err != nil {
		return err
	}
	sleep(ctx, lifetime(2*time.Second))
	return errOver
}

// users returns the body of an announcement of n users.
func users(first, n uint32) (b []byte) {
	for user := first; user < first+n; user++ {
		stat := binary.AppendUvarint([]byte{0x08}, uint64(user))
		stat = append(stat, 0x10, 1, 0x18, 1)
		b = append(binary.AppendUvarint(append(b, 0x0a), uint64(len(stat))), stat...)
	}
	return b
}

// change returns the body of a status update: 1 is online, 2 offline.
func change(user, status uint32) []byte {
	b := binary.AppendUvarint([]byte{0x08}, uint64(status))
	b = binary.AppendUvarint(append(b, 0x10), uint64(user))
	return append(b, 0x18, 1)
}

// flood sends as fast as it may, and reads. The tenant's quota slows it or drops what it sends.
func flood(ctx context.Context, c *conn) error {
	c.discard()
	batch := slices.Repeat(pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, make([]byte, 200)), 300)
	for {
		if _, err := c.Write(batch); err != nil {
			return err
		}
	}
}

// floodAndLeave sends 256 KiB, more than a quota lets through at once, and leaves.
func floodAndLeave(_ context.Context, c *conn) error {
	c.SetLinger(0)
	_, err := c.Write(slices.Repeat(pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 0, make([]byte, 1008)), 256))
	return err
}

// neverRead sends a PDU, so that it is a peer, and reads nothing.
func neverRead(ctx context.Context, c *conn) error {
	return every(ctx, time.Second, lifetime(time.Minute), func() error {
		return send(c, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, nil)
	})
}

// closeAtOnce leaves without a word, with FIN or reset.
func closeAtOnce(_ context.Context, c *conn) error {
	if rand.IntN(2) == 0 {
		c.SetLinger(0)
	}
	return nil
}

// sayOther sends what is not a PDU, and waits until the hub ends the connection.
func sayOther(_ context.Context, c *conn) error {
	if _, err := c.Write(others[rand.IntN(len(others))]); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, c)
	return err
}

var others = [][]byte{
	[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
	{0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0, 0},                     // TLS
	[]byte("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"),                           // from a source that may not
	pdu.Header{Length: 3, Version: 1}.Append(nil),                              // shorter than a header
	pdu.Header{Length: 1 << 31, Version: 1}.Append(nil),                        // longer than any PDU
	bytes.Repeat([]byte{0xff}, 4096),                                           // noise
	append(pdu.Append(nil, 7, 0x0701, 0, nil), bytes.Repeat([]byte{0}, 64)...), // a PDU, then no PDU
}

// neverFinish begins a PDU of 8 MiB, sends a part of it, and continues a byte at a time.
func neverFinish(ctx context.Context, c *conn) error {
	part := make([]byte, rand.IntN(1<<20))
	begun := append(pdu.Header{Length: 8 << 20, Version: 1, Service: pdu.SID_MSG, Command: pdu.CID_MSG_DATA}.Append(nil), part...)
	if _, err := c.Write(begun); err != nil {
		return err
	}
	return every(ctx, time.Second, lifetime(time.Minute), func() error {
		_, err := c.Write([]byte{0})
		return err
	})
}

// dribble sends a byte a second. After 16 s the hub has a header, of zeros, and closes the
// connection.
func dribble(ctx context.Context, c *conn) error {
	return every(ctx, time.Second, lifetime(time.Minute), func() error {
		_, err := c.Write([]byte{0})
		return err
	})
}

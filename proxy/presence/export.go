package presence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// An exported table is a stream of items, all integers big-endian. Items are never split
// between chunks, so a reader needs no memory but the chunk:
//
//	peers 4                                                     once
//	holder 8                                                    for each peer
//	holders 4, user 4, counts 4 × 4, then for each holder:      for each user
//	    peer 4                                                  its number in the list of peers, from 0
//	0 4, users 4                                                at the end
//
// The holders of a user are in reverse order, so each is added in front of those before it.
// A user with more holders than a chunk has room for has several records, one directly after
// the other.

const (
	// maxChunk is the largest length of a chunk, in bytes.
	maxChunk   = 512 << 10
	peerItem   = 8
	userItem   = 4 + 4 + 4*4
	holderItem = 4
	endItem    = 4 + 4
)

// Export hands the table to yield, in chunks of at most 512 KiB, for Import: the users that
// have a holder for which keep returns true, with those holders in their order and with all
// counts. It is the table as it would be if all other holders had left. A chunk is valid
// during the call. Export returns the first error of yield.
//
// It walks the table once and removes what Leave has still to remove, but nothing else.
func (d *Directory) Export(keep func(Holder) bool, yield func(chunk []byte) error) error {
	d.Leave(0, math.MaxInt)
	e := exporter{yield: yield, numbers: make([]uint32, len(d.peers)), buf: make([]byte, 0, maxChunk)}
	e.peers(d, keep)
	for id, u := range d.users {
		e.user(d, id, &u)
		if e.err != nil {
			return e.err
		}
	}
	e.room(endItem)
	e.number(0)
	e.number(e.users)
	e.room(maxChunk)
	return e.err
}

// An exporter fills chunks.
type exporter struct {
	yield   func(chunk []byte) error
	numbers []uint32 // 1 + the number of each exported peer, by its index in Directory.peers
	buf     []byte
	holders []uint32 // scratch
	users   uint32   // exported so far
	err     error
}

// room makes room for n bytes.
func (e *exporter) room(n int) {
	if len(e.buf)+n <= maxChunk {
		return
	}
	if e.err == nil {
		e.err = e.yield(e.buf)
	}
	e.buf = e.buf[:0]
}

func (e *exporter) number(n uint32) { e.buf = binary.BigEndian.AppendUint32(e.buf, n) }

// peers writes the peers that are kept, and notes the number of each for its users.
func (e *exporter) peers(d *Directory, keep func(Holder) bool) {
	var kept []Holder
	for holder, p := range d.byHolder {
		if keep(holder) {
			kept = append(kept, holder)
			e.numbers[p] = uint32(len(kept))
		}
	}
	e.number(uint32(len(kept)))
	for _, holder := range kept {
		e.room(peerItem)
		e.buf = binary.BigEndian.AppendUint64(e.buf, uint64(holder))
	}
}

// user writes a user with those of its holders that are kept, in several items if they do not fit into one
// chunk; nothing if there are none.
func (e *exporter) user(d *Directory, id uint32, u *user) {
	e.holders = e.holders[:0]
	for h := u.holding; ; h = *d.more.at(h.next) {
		if n := e.numbers[h.peer]; n != 0 {
			e.holders = append(e.holders, n-1)
		}
		if h.next == 0 {
			break
		}
	}
	if len(e.holders) > 0 {
		e.users++
	}
	for left := e.holders; len(left) > 0; {
		e.room(userItem + holderItem)
		n := min(len(left), (maxChunk-len(e.buf)-userItem)/holderItem)
		e.number(uint32(n))
		e.number(id)
		for _, count := range u.counts {
			e.number(count)
		}
		for range n {
			e.number(left[len(left)-1])
			left = left[:len(left)-1]
		}
	}
}

// Import returns a Directory with the table that Export has handed out. The function next
// returns the chunks one after the other, and is called until the end of the table. Memory
// grows with what has arrived. A fault in the table is an error that says where it is.
func Import(next func() (chunk []byte, err error)) (*Directory, error) {
	m := importer{d: New()}
	for number := 0; !m.over; number++ {
		chunk, err := next()
		if err != nil {
			return nil, fmt.Errorf("read chunk %d of the user table: %w", number, err)
		}
		if len(chunk) == 0 || len(chunk) > maxChunk {
			return nil, fmt.Errorf("chunk %d of the user table has %d bytes, which is not 1 to %d", number, len(chunk), maxChunk)
		}
		m.rest = chunk
		if err = m.chunk(); err != nil {
			return nil, fmt.Errorf("chunk %d of the user table, byte %d: %w", number, len(chunk)-len(m.rest), err)
		}
	}
	return m.d, nil
}

// An importer reads chunks. It collects the users first, because a map is filled faster if its size
// is known.
type importer struct {
	d     *Directory
	rest  []byte // of the chunk
	begun bool   // the number of peers was read
	peers uint32 // still to be read
	over  bool   // the end was read

	users list[listed]
	seen  []int // how many users there were when the peer was last a holder, by its index in Directory.peers
}

type listed struct {
	id uint32
	user
}

var (
	errCut     = errors.New("an item is cut off")
	errMore    = errors.New("bytes follow the end")
	errPeer    = errors.New("the number of a peer is 0, or that of another peer")
	errTwice   = errors.New("a user is there twice")
	errNoPeer  = errors.New("a user is held by a peer that is not there")
	errSame    = errors.New("a user is held twice by the same peer")
	errMissing = errors.New("the number of users differs from the one at the end")
)

// chunk reads the items of a chunk. At an error, rest begins with the faulty item.
func (m *importer) chunk() error {
	for len(m.rest) > 0 {
		err := errMore
		switch {
		case m.over:
		case !m.begun:
			err = m.readBegin()
		case m.peers > 0:
			err = m.readPeer()
		default:
			err = m.readUser()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *importer) readBegin() error {
	if len(m.rest) < 4 {
		return errCut
	}
	m.peers, m.begun, m.seen = m.number(0), true, []int{0}
	m.rest = m.rest[4:]
	return nil
}

// number returns the integer at that place.
func (m *importer) number(at int) uint32 { return binary.BigEndian.Uint32(m.rest[at:]) }

func (m *importer) readPeer() error {
	if len(m.rest) < peerItem {
		return errCut
	}
	holder := Holder(binary.BigEndian.Uint64(m.rest))
	if holder == 0 || m.d.byHolder[holder] != 0 {
		return errPeer
	}
	m.d.addPeer(holder)
	m.seen = append(m.seen, 0)
	m.peers--
	m.rest = m.rest[peerItem:]
	return nil
}

// readUser reads a user with some or all of its holders, or the end. The holders come in reverse order, so
// each is put in front of those before it.
func (m *importer) readUser() error {
	if len(m.rest) < endItem {
		return errCut
	}
	if m.number(0) == 0 {
		return m.readEnd()
	}
	size := userItem + holderItem*uint64(m.number(0))
	if uint64(len(m.rest)) < size {
		return errCut
	}
	u := m.userAt(m.number(4))
	for i := range u.counts {
		u.counts[i] = m.number(8 + 4*i)
	}
	for at := userItem; at < int(size); at += holderItem {
		p := uint64(m.number(at)) + 1
		switch {
		case p >= uint64(len(m.d.peers)):
			return errNoPeer
		case m.seen[p] == m.users.n:
			return errSame
		}
		m.seen[p] = m.users.n
		m.d.hold(u.id, &u.user, uint32(p))
	}
	m.rest = m.rest[size:]
	return nil
}

// userAt returns the last user, if that is it, or another one.
func (m *importer) userAt(id uint32) *listed {
	if m.users.n == 0 || m.users.at(uint32(m.users.n-1)).id != id {
		m.users.push(listed{id: id})
	}
	return m.users.at(uint32(m.users.n - 1))
}

// readEnd checks the number of users, and makes the table of them.
func (m *importer) readEnd() error {
	if int(m.number(4)) != m.users.n {
		return errMissing
	}
	users := make(map[uint32]user, m.users.n)
	for i := range uint32(m.users.n) {
		u := m.users.at(i)
		users[u.id] = u.user
	}
	if len(users) != m.users.n {
		return errTwice
	}
	m.d.users, m.over = users, true
	m.rest = m.rest[endItem:]
	return nil
}

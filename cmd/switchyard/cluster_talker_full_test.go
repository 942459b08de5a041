//go:build full

package main

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pb"
)

// An event is something that was heard: who said it, its number, and which of the notices it is.
type event struct {
	from, number uint32
	kind         kind
}

type kind uint8

const (
	isBroadcast kind = iota
	isUnicast
	isLogin  // 0x070e
	isStatus // 0x0203, behind it or after a logout
	isLogout // 0x0203
)

// A talker is one connection.
type talker struct {
	net.Conn
	id    int
	place int // which hub it is connected to
	mute  bool

	to   []int // who each of the things that it said was for, or everybody; its sendLoop's, until stopped
	from int   // the first of them that counts
	stop context.CancelFunc
	sent chan struct{} // closed when sendLoop has ended

	mu      sync.Mutex // guards what follows
	heard   []event
	answers [][]byte // users status responses
	mayEnd  bool     // the end of the connection is not a fault
	ended   bool
	late    bool // it has not heard everything since the accounts began
	last    time.Time
	longest time.Duration // without hearing anything
}

const everybody = -1

// user is the one that a talker holds.
func (t *talker) user() uint32 { return uint32(t.id + 1) }

// guest is the user that a talker logs in with something that it says, and out with what it says
// eight numbers later.
func (t *talker) guest(number uint32) uint32 { return 1<<31 | uint32(t.id)<<20 | number/8 }

// hear records one PDU. Called under mu.
func (t *talker) hear(p []byte) {
	if e, ok := t.eventOf(p); ok {
		now := time.Now()
		t.longest, t.last = max(t.longest, now.Sub(t.last)), now
		t.heard = append(t.heard, e)
	}
}

// eventOf returns what a PDU says, if it is numbered. It keeps the answers to questions.
func (t *talker) eventOf(p []byte) (e event, ok bool) {
	body := p[pdu.HeaderLen:]
	switch pdu.CommandID(binary.BigEndian.Uint16(p[10:])) {
	case pdu.CID_MSG_DATA:
		return event{binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:]), isBroadcast}, true
	case pdu.CID_FILE_NOTIFY:
		mark := body[len(body)-8:]
		return event{binary.BigEndian.Uint32(mark), binary.BigEndian.Uint32(mark[4:]), isUnicast}, true
	case pdu.CID_OTHER_LOGIN_STATUS_NOTIFY:
		user, _ := binary.Uvarint(body[1:])
		return guestEvent(uint32(user), isLogin), true
	case pdu.CID_BUDDY_LIST_STATUS_NOTIFY:
		user, n := binary.Uvarint(body[3:])
		k := isStatus
		if body[3+n+1] == byte(pb.UserStatType_USER_STATUS_OFFLINE) {
			k = isLogout
		}
		return guestEvent(uint32(user), k), true
	case pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE:
		t.answers = append(t.answers, p)
	}
	return event{}, false
}

// guestEvent returns the event of a notice about a guest.
func guestEvent(user uint32, k kind) event {
	e := event{user >> 20 & (1<<11 - 1), user&(1<<20-1)*8 + 7, k}
	if k == isLogout {
		e.number += 8
	}
	return e
}

func (t *talker) say(tb testing.TB, p []byte) {
	tb.Helper()
	t.SetWriteDeadline(time.Now().Add(patience))
	if _, err := t.Write(p); err != nil {
		tb.Errorf("talker %d: %v", t.id, err)
	}
}

func (t *talker) isAllowedToEnd() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.mayEnd
}

// allowEnd allows the connection to end.
func (t *talker) allowEnd() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mayEnd = true
}

// hears returns how much was heard.
func (t *talker) hears() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.heard)
}

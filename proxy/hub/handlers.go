package hub

import (
	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy/abi"
	"switchyard/proxy/presence"
)

// maxAnswer is how long an answer may be in bytes: what a peer accepts whose limit
// is the default.
const maxAnswer = pdu.DefaultMaxLen

// keptScratch is how much memory for making PDUs is kept between them.
const keptScratch = 64 << 10

// handle runs the built-in handler that the verdict names. What it sends stands in
// the log before it returns. The reason says why the PDU was dropped, if it was.
// Called under presenceMu.
func (h *Hub) handle(s *Seat, r *run) Reason {
	b := r.bytes[pdu.HeaderLen:]
	switch r.verdict.Argument() {
	case abi.OnlineUserInfo:
		return h.onlineUserInfo(s, b)
	case abi.UserStatusUpdate:
		return h.userStatusUpdate(s, b)
	default:
		return h.usersStatusRequest(s, pdu.ParseHeader(r.bytes).Seq, b)
	}
}

// announceStep is how many users one peer announces, if it announces many, before others
// have their turn at the presence directory.
const announceStep = 250

// onlineUserInfo takes over the users that a msg_server announces. It sends nothing, so
// while it does that for many, others may find some of them there and some not yet. Only
// one peer announces many at a time.
func (h *Hub) onlineUserInfo(s *Seat, b []byte) Reason {
	many := len(b) > lengthy
	if many {
		h.presenceMu.Unlock()
		h.announcing.Lock()
		defer h.announcing.Unlock()
	}
	info, err := body.ReadOnlineUserInfo(b)
	if many {
		h.presenceMu.Lock()
	}
	if err != nil {
		return MalformedBody
	}
	if !h.hasRoom(func() bool { return h.fits(s, info) }) {
		return PresenceFull
	}
	left := info.Len
	for stat := range info.All() {
		h.presence.Apply(presence.Holder(s.session), stat)
		if left--; many && left%announceStep == 0 {
			h.announced = left
			h.presenceMu.Unlock()
			h.presenceMu.Lock()
		}
	}
	return ""
}

// userStatusUpdate takes over one user's change and tells everybody, the sender
// too, what the original tells.
func (h *Hub) userStatusUpdate(s *Seat, b []byte) Reason {
	stat, err := body.ReadUserStatusUpdate(b)
	if err != nil {
		return MalformedBody
	}
	if !stat.Announceable() {
		return BadStatus
	}
	if !h.hasRoom(func() bool { return h.presenceRoom(s) > 0 || !h.presence.Adds(presence.Holder(s.session), stat) }) {
		return PresenceFull
	}
	notices := h.presence.Update(presence.Holder(s.session), stat)
	p, pdus := h.scratch[:0], 0
	if notices.Login != presence.NoLogin {
		p = pdu.Append(p, pdu.SID_OTHER, pdu.CID_OTHER_LOGIN_STATUS_NOTIFY, 0, nil)
		p = body.AppendLoginStatusNotify(p, stat.User, notices.Login == presence.LoginOn)
		pdu.SetLength(p)
		pdus++
	}
	if notices.Status {
		start := len(p)
		p = pdu.Append(p, pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_STATUS_NOTIFY, 0, nil)
		p = body.AppendStatusNotify(p, stat.User, stat.Status)
		pdu.SetLength(p[start:])
		pdus++
	}
	h.scratch = p

	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.made += uint64(pdus)
	h.broadcast(s, p, pdus, nil)
	return ""
}

// usersStatusRequest answers the sender alone, in the order asked, with the attach
// data even if there is none.
//
// All is looked up without letting anybody else at the table: the answer stands behind
// all notices of what it already knows and before all others, so that who believes the
// last word about a user is right. Looked up in portions, it would stand behind
// notices of changes that it missed. A million ids take some 0.4 s, in which what else
// the tenant's peers say about users waits, and no other tenant's; what that costs is
// limited by the quota on what goes out.
func (h *Hub) usersStatusRequest(s *Seat, seq uint16, b []byte) Reason {
	request, err := body.ReadUsersStatusRequest(b)
	if err != nil {
		return MalformedBody
	}
	if pdu.HeaderLen+request.ResponseLen > maxAnswer {
		return AnswerTooLong
	}
	p := pdu.Append(h.scratch[:0], pdu.SID_BUDDY_LIST, pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, seq, nil)
	p = body.AppendUsersStatusResponse(p, request.User)
	for user := range request.Users() {
		p = body.AppendUserStat(p, user, h.presence.Status(user))
	}
	p = body.AppendAttachData(p, request.AttachData)
	pdu.SetLength(p)
	if h.scratch = p; cap(p) > keptScratch {
		h.scratch = nil
	}

	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.made++
	h.insert(p, 1, s)
	s.out += uint64(len(p))
	return ""
}

// setRole remembers whether the peer declared itself master.
func (s *Seat) setRole(b []byte) Reason {
	master, err := body.ReadRoleSet(b)
	if err != nil {
		return MalformedBody
	}
	s.master = master != 0
	return ""
}

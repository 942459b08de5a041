package hub

import (
	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/presence"
)

// maxAnswer is the largest answer in bytes: what a peer with the default limit accepts.
const maxAnswer = pdu.DefaultMaxLen

// keptScratch is how many bytes of scratch memory are kept between PDUs.
const keptScratch = 64 << 10

// handle runs the built-in handler that the verdict names. What the handler sends is in
// the log when it returns. The reason says why the PDU was dropped, if it was. Called
// under presenceMu.
func (h *Hub) handle(from *reader, r *run) Reason {
	b := r.bytes[pdu.HeaderLen:]
	switch r.verdict.Argument() {
	case abi.OnlineUserInfo:
		return h.onlineUserInfo(from, b)
	case abi.UserStatusUpdate:
		return h.userStatusUpdate(from, b)
	default:
		return h.usersStatusRequest(from, pdu.ParseHeader(r.bytes).Seq, b)
	}
}

// clientTypesOf returns the further client types by which bodies of the peer are read. What comes
// from the order names known types alone, see Hub.recorded: all hubs have to read the same in it,
// whatever they admit.
func (h *Hub) clientTypesOf(from *reader) body.ClientTypes {
	if from.applies {
		return nil
	}
	return h.furtherClients()
}

// onlineUserInfo adds the users that a msg_server announces, if they are few; see
// announce for many. It sends nothing. Called under presenceMu.
func (h *Hub) onlineUserInfo(from *reader, b []byte) Reason {
	info, err := body.ReadOnlineUserInfo(b, h.clientTypesOf(from))
	if err != nil {
		return MalformedBody
	}
	if !h.fits(from, info) {
		return PresenceFull
	}
	for stat := range info.All() {
		h.presence.Apply(from.holder(), stat)
	}
	return ""
}

// userStatusUpdate applies one user's change and sends the original's notices about it
// to every peer, including the sender. Called under presenceMu.
func (h *Hub) userStatusUpdate(from *reader, b []byte) Reason {
	stat, err := body.ReadUserStatusUpdate(b, h.clientTypesOf(from))
	if err != nil {
		return MalformedBody
	}
	if !stat.Announceable() {
		return BadStatus
	}
	if h.presenceRoom(from) <= 0 && h.presence.Adds(from.holder(), stat) {
		return PresenceFull
	}
	notices := h.presence.Update(from.holder(), stat)
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
	if !from.uncounted {
		h.counts.made += uint64(pdus)
	}
	h.broadcast(from, p, pdus, nil)
	return ""
}

// maxAsked is about how many users one request may ask. Looking them up takes some 10 ms,
// for which the tenant's other questions wait.
const maxAsked = 32 << 10

// asksTooMuch returns a reason to drop r if it is a users status request for more than
// maxAsked users. It reads only long bodies, without a lock.
func asksTooMuch(r *run) Reason {
	b := r.bytes[pdu.HeaderLen:]
	if r.verdict.Action() != policy.Handle || r.verdict.Argument() != abi.UsersStatusRequest || len(b) <= 2*maxAsked {
		return "" // an id takes two bytes at least
	}
	request, err := body.ReadUsersStatusRequest(b)
	if err != nil {
		return MalformedBody
	}
	if pdu.HeaderLen+request.ResponseLen > maxAnswer {
		return AnswerTooLong
	}
	asked := 0
	for range request.Users() {
		if asked++; asked > maxAsked {
			return TooManyUsers
		}
	}
	return ""
}

// usersStatusRequest answers the sender alone, in the order of the question. Like the
// original, it always writes the attach data field, even if it is empty. Called under
// presenceMu.
//
// All users are looked up under one hold of the lock. So the answer is behind the
// notices of all changes that it knows, and before the notices of all later ones: a
// receiver that believes the last word about a user is right. If the lock were released
// in between, the answer could be behind notices of changes that it missed. That is why
// the number of users is limited, see asksTooMuch.
func (h *Hub) usersStatusRequest(from *reader, seq uint16, b []byte) Reason {
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
	if to := from.present(); to != nil {
		h.counts.made++
		h.insert(p, 1, to)
		from.out += uint64(len(p))
	}
	return ""
}

// setRole remembers whether the peer declared itself master. Called under mu.
func (h *Hub) setRole(from *reader, b []byte) Reason {
	master, err := body.ReadRoleSet(b)
	if err != nil {
		return MalformedBody
	}
	from.master = master != 0
	if h.order != nil {
		as := h.order.sessions[from.session]
		if as.Replaced {
			return Standby
		}
		as.master = from.master
		h.order.setSession(from.session, as)
	}
	if from.seat != nil {
		from.seat.master = from.master
		h.activate(from.seat)
	}
	return ""
}

package body

import (
	"iter"
	"math/bits"
)

// Each reader passes all fields once and takes the ones that it knows by their tags, number<<3 | wire
// type; a known number with another wire type is an unknown field, as in protobuf. seen has a bit for
// each field that had a valid value, by which finish finds the required ones that are missing.

// ReadRoleSet reads the body of 0x0707 (IM.Server.IMRoleSet).
func ReadRoleSet(b []byte) (master uint32, err error) {
	s, seen := scanner{b: b}, uint32(0)
	for s.next() {
		if s.tag == 1<<3+varint {
			master, seen = uint32(s.value), 1<<1
		}
	}
	return master, s.finish(seen, roleSetFields[:])
}

var roleSetFields = [...]string{1: "master"}

// ReadUserStatusUpdate reads the body of 0x070a (IM.Server.IMUserStatusUpdate).
// Its status is a plain number, and any value is accepted; see Announceable. types may be nil.
func ReadUserStatusUpdate(b []byte, types ClientTypes) (u ServerUserStat, err error) {
	s, seen := scanner{b: b}, uint32(0)
	for s.next() {
		switch s.tag {
		case 1<<3 + varint:
			u.Status, seen = Status(s.value), seen|1<<1
		case 2<<3 + varint:
			u.User, seen = uint32(s.value), seen|1<<2
		case 3<<3 + varint:
			if c, ok := types.read(s.value); ok {
				u.Client, seen = c, seen|1<<3
			} else {
				s.reject()
			}
		}
	}
	return u, s.finish(seen, userStatusUpdateFields[:])
}

var userStatusUpdateFields = [...]string{1: "user_status", 2: "user_id", 3: "client_type"}

// An OnlineUserInfo is the body of 0x0708 (IM.Server.IMOnlineUserInfo).
type OnlineUserInfo struct {
	Len   int // how many entries All yields
	b     []byte
	types ClientTypes
}

// ReadOnlineUserInfo reads the body of 0x0708. One invalid entry makes it invalid. types
// may be nil.
func ReadOnlineUserInfo(b []byte, types ClientTypes) (OnlineUserInfo, error) {
	info, s := OnlineUserInfo{b: b, types: types}, scanner{b: b}
	for s.next() {
		if s.tag != 1<<3+lengthDelimited {
			continue
		}
		entry := s.message()
		if _, err := entry.userStat(types); err != nil {
			return OnlineUserInfo{}, err
		}
		info.Len++
	}
	if s.err != nil {
		return OnlineUserInfo{}, s.err
	}
	return info, nil
}

// All yields the entries in their order.
func (o OnlineUserInfo) All() iter.Seq[ServerUserStat] {
	return func(yield func(ServerUserStat) bool) {
		for s := (scanner{b: o.b}); s.next(); {
			if s.tag != 1<<3+lengthDelimited {
				continue
			}
			entry := s.message()
			if u, err := entry.userStat(o.types); err != nil || !yield(u) {
				return
			}
		}
	}
}

// userStat reads an IM.BaseDefine.ServerUserStat.
func (s *scanner) userStat(types ClientTypes) (u ServerUserStat, err error) {
	seen := uint32(0)
	for s.next() {
		switch s.tag {
		case 1<<3 + varint:
			u.User, seen = uint32(s.value), seen|1<<1
		case 2<<3 + varint:
			if status := Status(s.value); status.valid() {
				u.Status, seen = status, seen|1<<2
			} else {
				s.reject()
			}
		case 3<<3 + varint:
			if c, ok := types.read(s.value); ok {
				u.Client, seen = c, seen|1<<3
			} else {
				s.reject()
			}
		}
	}
	return u, s.finish(seen, userStatFields[:])
}

var userStatFields = [...]string{1: "user_id", 2: "status", 3: "client_type"}

// A UsersStatusRequest is the body of 0x020a (IM.Buddy.IMUsersStatReq).
type UsersStatusRequest struct {
	User        uint32
	AttachData  []byte // empty if the request has none
	ResponseLen int    // bytes of the response's body, see AppendUsersStatusResponse
	users       Values
}

// ReadUsersStatusRequest reads the body of 0x020a.
func ReadUsersStatusRequest(b []byte) (UsersStatusRequest, error) {
	r := UsersStatusRequest{users: Values{b: b, fields: 1 << 2}}
	s, seen, size := scanner{b: b}, uint32(0), 0
	for s.next() {
		switch s.tag {
		case 1<<3 + varint:
			r.User, seen = uint32(s.value), 1<<1
		case 20<<3 + lengthDelimited:
			r.AttachData = s.b[s.start:s.at]
		default:
			s.values(r.users.fields, func(user uint32) bool {
				size += userStatSize(user)
				return true
			})
		}
	}
	if err := s.finish(seen, usersStatusRequestFields[:]); err != nil {
		return UsersStatusRequest{}, err
	}
	attached := uint32(len(r.AttachData))
	r.ResponseLen = 1 + varintSize(r.User) + size + 2 + varintSize(attached) + len(r.AttachData)
	return r, nil
}

var usersStatusRequestFields = [...]string{1: "user_id"}

// Users yields the requested ids in their order, duplicates included.
func (r UsersStatusRequest) Users() iter.Seq[uint32] { return r.users.All() }

// Values are the values of some varint fields of a body of any message.
type Values struct {
	b      []byte
	fields uint32
}

// ReadValues reads the fields selected by fields: bit n is field n, 1–31. They may be
// repeated and packed. A selected length-delimited field that is not a packed list of
// varints is an error. A selected field of another wire type is ignored.
func ReadValues(b []byte, fields uint32) (Values, error) {
	s := scanner{b: b}
	for s.next() {
		s.values(fields, func(uint32) bool { return true })
	}
	if s.err != nil {
		return Values{}, s.err
	}
	return Values{b: b, fields: fields}, nil
}

// All yields the values in the order of the body, each cut to 32 bits.
func (v Values) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for s := (scanner{b: v.b}); s.next() && s.values(v.fields, yield); {
		}
	}
}

// varintSize returns the bytes of v as a minimal varint.
func varintSize(v uint32) int { return (bits.Len32(v|1) + 6) / 7 }

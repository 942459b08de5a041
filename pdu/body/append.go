package body

// AppendLoginStatusNotify appends the body of 0x070e
// (IM.Server.IMServerPCLoginStatusNotify) to dst:
//
//	08 user  10 1 or 0
func AppendLoginStatusNotify(dst []byte, user uint32, on bool) []byte {
	login := uint32(0)
	if on {
		login = 1
	}
	return appendStat(dst, user, login)
}

// AppendStatusNotify appends the body of 0x0203 (IM.Buddy.IMUserStatNotify) to
// dst:
//
//	0a len { 08 user  10 status }
func AppendStatusNotify(dst []byte, user uint32, status Status) []byte {
	dst = append(dst, 1<<3+lengthDelimited, byte(statSize(user, uint32(status))))
	return appendStat(dst, user, uint32(status))
}

// AppendUsersStatusResponse appends the beginning of the body of 0x020b
// (IM.Buddy.IMUsersStatRsp), with the request's user_id, to dst. The whole body is
//
//	08 user
//	12 len { 08 id  10 status }   AppendUserStat, per id in the order asked
//	a2 01 len attach_data         AppendAttachData, always
func AppendUsersStatusResponse(dst []byte, user uint32) []byte {
	return appendVarint(append(dst, 1<<3+varint), user)
}

// AppendUserStat appends one user's status to a users status response.
func AppendUserStat(dst []byte, user uint32, status Status) []byte {
	dst = append(dst, 2<<3+lengthDelimited, byte(statSize(user, uint32(status))))
	return appendStat(dst, user, uint32(status))
}

// AppendAttachData appends the request's data, which may be empty, to a users status
// response. It is the last part.
func AppendAttachData(dst, data []byte) []byte {
	const tag = 20<<3 + lengthDelimited
	dst = appendVarint(append(dst, tag&0x7f|0x80, tag>>7), uint32(len(data)))
	return append(dst, data...)
}

// AppendOnlineUser appends one entry of the body of 0x0708 (IM.Server.IMOnlineUserInfo) to dst:
//
//	0a len { 08 user  10 status  18 client }
func AppendOnlineUser(dst []byte, u ServerUserStat) []byte {
	size := statSize(u.User, uint32(u.Status)) + 1 + varintSize(uint32(u.Client))
	dst = append(dst, 1<<3+lengthDelimited, byte(size))
	dst = appendStat(dst, u.User, uint32(u.Status))
	return appendVarint(append(dst, 3<<3+varint), uint32(u.Client))
}

// AppendUserStatusUpdate appends the body of 0x070a (IM.Server.IMUserStatusUpdate) to dst:
//
//	08 status  10 user  18 client
func AppendUserStatusUpdate(dst []byte, u ServerUserStat) []byte {
	dst = appendStat(dst, uint32(u.Status), u.User)
	return appendVarint(append(dst, 3<<3+varint), uint32(u.Client))
}

// userStatSize returns how many bytes AppendUserStat appends for a status of one byte,
// which those of a response are.
func userStatSize(user uint32) int { return 2 + statSize(user, uint32(Online)) }

func appendStat(dst []byte, user, status uint32) []byte {
	dst = appendVarint(append(dst, 1<<3+varint), user)
	return appendVarint(append(dst, 2<<3+varint), status)
}

// statSize returns how many bytes appendStat appends: at most 12.
func statSize(user, status uint32) int {
	return 1 + varintSize(user) + 1 + varintSize(status)
}

func appendVarint(dst []byte, v uint32) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

package body

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

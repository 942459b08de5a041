package demo

import (
	"switchyard/pdu"
	"switchyard/pdu/pb"
)

// logins is the weight of users who log in or out, which all of them do. The rest is done by those
// who are online.
const logins = 100

// mix is what users do, and how often: by weight, of total. A hub drops the last three, and logs
// that.
var mix = []struct {
	weight int
	pdu    func(f *fleet, user uint32) []byte // that the user's server sends
}{
	{logins, (*fleet).logInOrOut},
	{300, (*fleet).chat},
	{120, (*fleet).groupChat},
	{200, (*fleet).readNotice},
	{150, (*fleet).typing},
	{60, (*fleet).statusRequest},
	{10, (*fleet).kick},
	{10, (*fleet).groupChange},
	{5, (*fleet).removeSession},
	{5, (*fleet).signInfo},
	{5, (*fleet).file},
	{4, (*fleet).readAck},
	{1, (*fleet).unknown},
	{1, (*fleet).malformed},
}

// total is the sum of the weights.
var total = func() (n int) {
	for _, m := range mix {
		n += m.weight
	}
	return n
}()

// event lets one user do something. A user whose server is not connected does nothing.
func (f *fleet) event() {
	if u := f.kicked; u != 0 {
		f.kicked = 0
		f.users[u-1].online = false
		f.say(f.servers[f.home(u)], f.status(u))
		return
	}
	u := f.anyone()
	i, n := 0, f.random.IntN(total)
	for ; n >= mix[i].weight; i++ {
		n -= mix[i].weight
	}
	if i > 0 {
		u = f.someone()
	}
	if s := f.servers[f.home(u)]; s.conn != nil {
		f.say(s, mix[i].pdu(f, u))
	}
}

// home returns which server a user is connected to.
func (f *fleet) home(u uint32) int { return int(u-1) % len(f.servers) }

// anyone returns a user.
func (f *fleet) anyone() uint32 { return uint32(f.random.IntN(len(f.users)) + 1) }

// someone returns a user who is online, if that is easy to find.
func (f *fleet) someone() uint32 {
	u := f.anyone()
	for try := 0; try < 8 && !f.users[u-1].online; try++ {
		u = f.anyone()
	}
	return u
}

// group returns one of the groups, of about ten users each. Their numbers are those of users, too,
// as in TeamTalk.
func (f *fleet) group() uint32 { return uint32(f.random.IntN(len(f.users)/10+1) + 1) }

// logInOrOut changes whether a user is online.
func (f *fleet) logInOrOut(u uint32) []byte {
	p := &f.users[u-1]
	p.online = !p.online
	if p.online {
		p.client = f.random.IntN(len(clients))
	}
	return f.status(u)
}

// onlineUsers is what server i announces when it connects.
func (f *fleet) onlineUsers(i int) []byte {
	m := new(pb.IMOnlineUserInfo)
	for u := i; u < len(f.users); u += len(f.servers) {
		if f.users[u].online {
			id := uint32(u + 1)
			m.UserStatList = append(m.UserStatList, &pb.ServerUserStat{UserId: &id,
				Status: pb.UserStatType_USER_STATUS_ONLINE.Enum(), ClientType: clients[f.users[u].client].Enum()})
		}
	}
	return encode(pdu.CID_OTHER_ONLINE_USER_INFO, m)
}

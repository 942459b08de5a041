package capture

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/pdu/pb"
)

// usersStep is how many users are read from a hub at a time. Its peers wait meanwhile.
const usersStep = 250

// A seat is a session of a tenant, by the numbers that records have for both.
type seat struct {
	tenant  int
	session uint64
}

// writeKnown writes the sessions that exist when the capture begins, the groups of their
// peers, and the users that they hold. msg_servers announce users when they connect, so
// without these records a replay could not route unicasts. Records that arrive meanwhile
// wait in the buffer, as far as there is room. A user that is announced meanwhile may be
// written twice, but is always written before a PDU for it.
func (r *recorder) writeKnown(ctx context.Context) error {
	r.early = r.buffer.take()
	for i := range r.early {
		if rec := &r.early[i]; rec.Known {
			if rec.Kind == Joined {
				r.present = append(r.present, seat{rec.Tenant, rec.Session})
			}
			if err := r.write(rec); err != nil {
				return err
			}
		}
	}
	t := r.tenant(Source{})
	if t.Bodies && t.Keeps(pdu.CID_OTHER_ONLINE_USER_INFO) {
		for _, s := range r.present {
			if err := r.writeUsers(ctx, s); err != nil {
				return err
			}
		}
	}
	return r.writeEarly()
}

// writeEarly writes the other records that were taken from the buffer first.
func (r *recorder) writeEarly() error {
	for i := range r.early {
		if rec := &r.early[i]; !rec.Known {
			if err := r.write(rec); err != nil || r.ended != "" {
				return err
			}
		}
	}
	r.early = nil
	return nil
}

// writeUsers writes the users that a session holds, in steps. Between two steps the hub continues, and fills
// the buffer. When that is half full, what it holds is written first: a capture that missed PDUs for the
// sake of the users would be of less use.
func (r *recorder) writeUsers(ctx context.Context, s seat) error {
	var stats []body.ServerUserStat
	for next := -1; next != 0 && r.ended == "" && ctx.Err() == nil; {
		stats, next = r.sources[s.tenant].Hub.Held(s.session, next, usersStep, stats[:0])
		if len(stats) > 0 {
			p := onlineUsers(stats)
			if err := r.write(&Record{Tenant: s.tenant, Time: time.Now(), Session: s.session, Known: true, PDU: p, Length: len(p)}); err != nil {
				return err
			}
		}
		if !r.buffer.filling() {
			continue
		}
		if err := r.writeEarly(); err != nil {
			return err
		}
		if err := r.drain(); err != nil {
			return err
		}
	}
	return nil
}

// onlineUsers makes the PDU by which a msg_server announces users.
func onlineUsers(stats []body.ServerUserStat) []byte {
	m := &pb.IMOnlineUserInfo{}
	for _, s := range stats {
		m.UserStatList = append(m.UserStatList, &pb.ServerUserStat{
			UserId: proto.Uint32(s.User), Status: pb.UserStatType(s.Status).Enum(), ClientType: pb.ClientType(s.Client).Enum()})
	}
	info, err := proto.Marshal(m)
	if err != nil {
		panic(err) // every required field is set
	}
	return pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0, info)
}

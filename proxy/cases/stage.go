package cases

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/pb"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/hub"
)

// A Stage is a hub with peers that hold users, where a policy is tried. It is for
// one goroutine.
type Stage struct {
	hub   *hub.Hub
	judge *policy.Active
	peers []*player
}

// A player is a peer of a stage: it takes what it is sent.
type player struct {
	name  string
	seat  *hub.Seat
	facts uint64 // about it, as a policy is told them
}

func (p *player) Noted(hub.Note)   {}
func (p *player) Close(hub.Reason) {}

// An Outcome is what became of a PDU.
type Outcome struct {
	Verdict policy.Verdict // that was carried out
	Fault   *policy.Fault  // how the policy failed to decide, if it did
	Dropped hub.Reason     // why, if it was
	Copies  []Copy         // in the order of the peers
}

// A Copy is what one peer was sent, cut into PDUs.
type Copy struct {
	Peer string
	PDUs [][]byte
}

// NewStage puts p in force among these peers. It stays the caller's to close, when
// the stage is closed.
func NewStage(name, sha256 string, p policy.Policy, peers []Peer) *Stage {
	s := &Stage{judge: policy.NewActive(policy.NewGeneration("stage", "", stagehand{}))}
	s.hub = hub.New(s.judge, math.MaxInt64)
	for _, peer := range peers {
		actor := &player{name: peer.Name}
		actor.seat = s.hub.Join(actor)
		s.peers = append(s.peers, actor)
		s.prepare(actor, peer)
	}
	s.judge.Install(policy.NewGeneration(name, sha256, borrowed{p}))
	return s
}

// prepare has the peer say what users it holds, and whether it is master.
func (s *Stage) prepare(actor *player, peer Peer) {
	info := &pb.IMOnlineUserInfo{}
	for _, user := range peer.Users {
		info.UserStatList = append(info.UserStatList, &pb.ServerUserStat{UserId: &user,
			Status: pb.UserStatType_USER_STATUS_ONLINE.Enum(), ClientType: pb.ClientType_CLIENT_TYPE_WINDOWS.Enum()})
	}
	role := &pb.IMRoleSet{Master: proto.Uint32(0)}
	if peer.Master {
		role.Master = proto.Uint32(1)
		actor.facts |= abi.AttributeMaster
	}
	for command, m := range map[pdu.CommandID]proto.Message{pdu.CID_OTHER_ONLINE_USER_INFO: info, pdu.CID_OTHER_ROLE_SET: role} {
		body, err := proto.Marshal(m)
		if err == nil {
			err = s.hub.Handle(actor.seat, pdu.Append(nil, pdu.SID_OTHER, command, 0, body))
		}
		if err != nil {
			panic(fmt.Sprintf("cases: set the stage: %v", err)) // a fault of this package
		}
	}
}

// Session returns the session number of a peer.
func (s *Stage) Session(peer string) uint64 { return s.player(peer).seat.Session() }

func (s *Stage) player(name string) *player {
	for _, p := range s.peers {
		if p.name == name {
			return p
		}
	}
	panic("cases: there is no peer " + name) // Parse has seen to it
}

// Facts returns what a policy is told of a peer: attribute bits of policy/abi.
func (s *Stage) Facts(peer string) uint64 { return s.player(peer).facts }

// Say has a peer send a PDU, which is whole, and returns what becomes of it. The
// policy is asked twice, once to be told and once by the hub, and gives the same
// answer as every policy does.
func (s *Stage) Say(from string, p []byte) Outcome {
	sender := s.player(from)
	var o Outcome
	g := s.judge.Acquire()
	o.Verdict, o.Fault = g.Judge(p, sender.seat.Session(), sender.facts)
	g.Release()
	before := s.hub.Counts().Dropped
	// The error is that of a verdict close.
	if err := s.hub.Handle(sender.seat, p); err != nil && !errors.Is(err, hub.ErrClose) {
		panic(fmt.Sprintf("cases: handle a PDU: %v", err))
	}
	for reason, n := range s.hub.Counts().Dropped {
		if n > before[reason] {
			o.Dropped = reason
		}
	}
	for _, peer := range s.peers {
		if got := s.take(peer); len(got) > 0 {
			o.Copies = append(o.Copies, Copy{peer.name, got})
		}
	}
	return o
}

// take reads all that is due to a peer.
func (s *Stage) take(p *player) (pdus [][]byte) {
	var stream []byte
	for {
		n := 0
		for _, piece := range p.seat.Due(make([][]byte, 0, 16), s.hub.Head(), math.MaxInt32) {
			stream = append(stream, piece...)
			n += len(piece)
		}
		if n == 0 {
			break
		}
		p.seat.Sent(n)
	}
	for len(stream) > 0 {
		n, err := pdu.Next(stream, math.MaxInt)
		if n == 0 || err != nil {
			panic(fmt.Sprintf("cases: a peer was sent %x: %v", stream, err))
		}
		pdus, stream = append(pdus, stream[:n:n]), stream[n:]
	}
	return pdus
}

// Close ends the stage.
func (s *Stage) Close() { s.judge.Close() }

// A stagehand is the policy under which a stage is set.
type stagehand struct{}

func (stagehand) Classify(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	switch c {
	case pdu.CID_OTHER_ONLINE_USER_INFO:
		return abi.Handle | abi.OnlineUserInfo<<abi.ArgumentShift, nil
	case pdu.CID_OTHER_ROLE_SET:
		return abi.Handle | abi.RoleSet<<abi.ArgumentShift, nil
	}
	return abi.Drop, nil
}

func (stagehand) Inspect(v policy.Verdict, _ policy.Question) (policy.Verdict, error) { return v, nil }
func (stagehand) Close() error                                                        { return nil }

// A borrowed policy is not closed with the generation that it is made.
type borrowed struct{ policy.Policy }

func (borrowed) Close() error { return nil }

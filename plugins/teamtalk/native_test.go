package teamtalk

import (
	"context"
	"testing"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/policy/wasm"
)

// native decides as the module does, in Go. The difference between the two is what
// WebAssembly costs.
type native struct{}

var _ policy.Policy = native{}

func (native) Classify(_ pdu.ServiceID, c pdu.CommandID) (policy.Verdict, error) {
	switch c {
	case pdu.CID_OTHER_HEARTBEAT:
		return abi.Consume, nil
	case pdu.CID_OTHER_ONLINE_USER_INFO:
		return abi.Handle | abi.OnlineUserInfo<<abi.ArgumentShift, nil
	case pdu.CID_OTHER_USER_STATUS_UPDATE:
		return abi.Handle | abi.UserStatusUpdate<<abi.ArgumentShift, nil
	case pdu.CID_OTHER_ROLE_SET:
		return abi.Handle | abi.RoleSet<<abi.ArgumentShift, nil
	case pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST:
		return abi.Handle | abi.UsersStatusRequest<<abi.ArgumentShift, nil
	case pdu.CID_MSG_DATA,
		pdu.CID_SWITCH_P2P_CMD,
		pdu.CID_MSG_READ_NOTIFY,
		pdu.CID_OTHER_SERVER_KICK_USER,
		pdu.CID_GROUP_CHANGE_MEMBER_NOTIFY,
		pdu.CID_FILE_NOTIFY,
		pdu.CID_BUDDY_LIST_REMOVE_SESSION_NOTIFY:
		return abi.BroadcastExceptSender, nil
	case pdu.CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY:
		return abi.BroadcastAll, nil
	}
	return abi.Drop | abi.Log, nil
}

// No verdict of Classify asks for it.
func (native) Inspect(byIDs policy.Verdict, _ policy.Question) (policy.Verdict, error) {
	return byIDs, nil
}

func (native) Close() error { return nil }

// native must decide as the module does, for every command id under several services, so
// that BenchmarkJudge compares the same work.
func TestNativeDecidesAsTheModule(t *testing.T) {
	e := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer e.Close()
	module, err := e.Load(context.Background(), Name, Module, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	for _, service := range []pdu.ServiceID{0, pdu.SID_LOGIN, pdu.SID_BUDDY_LIST, pdu.SID_MSG, pdu.SID_OTHER, 0xffff} {
		for c := range 1 << 16 {
			want, err := module.Classify(service, pdu.CommandID(c))
			if err != nil {
				t.Fatal(err)
			}
			got, err := native{}.Classify(service, pdu.CommandID(c))
			if err != nil || got != want {
				t.Fatalf("service %#04x, %v: got %v, %v, want %v", uint16(service), pdu.CommandID(c), got, err, want)
			}
		}
	}
}

// BenchmarkJudge judges a PDU by the module and by native. Both go through the memo, so
// both cost the same; BenchmarkJudge in policy/wasm measures a call into a guest.
func BenchmarkJudge(b *testing.B) {
	e := wasm.NewEngine(wasm.DefaultLimits(), nil)
	defer e.Close()
	module, err := e.Load(context.Background(), Name, Module, nil)
	if err != nil {
		b.Fatal(err)
	}
	p := pdu.Append(nil, pdu.SID_MSG, pdu.CID_MSG_DATA, 1, make([]byte, 184))
	for name, of := range map[string]policy.Policy{"module": module, "native": native{}} {
		b.Run(name, func(b *testing.B) {
			g := policy.NewGeneration(name, "", of)
			defer g.Release()
			b.ReportAllocs()
			for b.Loop() {
				g.Judge(p, 1, 0)
			}
		})
	}
}

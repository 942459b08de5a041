package server

import (
	"testing"
	"time"

	"switchyard/policy/release/history"
	"switchyard/proxy/admin"
)

// A table that another one extends belongs to the policy: a change to it is noticed, is another
// policy and can be rolled back, to exactly what was in force, although the files have gone on.
func TestBaseOfATableChanges(t *testing.T) {
	t.Parallel()
	s := &testServer{t: t, dir: t.TempDir()}
	const rows = "extends = \"base.toml\"\n[route]\nCID_MSG_DATA = \"broadcast-all\"\n"
	written := func(action string) string {
		return "# A routing table and what it extends, written out as one by Switchyard.\n\n[route]\n" +
			"CID_MSG_DATA = \"broadcast-all\"  # line 3\nCID_OTHER_HEARTBEAT = \"" + action + "\"  # base.toml:2\nelse = \"drop, log\"\n"
	}
	wantInForce := func(action string) {
		t.Helper()
		want := history.Sum([]byte(written(action)))
		s.eventually(action+" is in force", func() bool {
			r := s.state.Release("a")
			return r.InForce != nil && r.InForce.SHA256 == want
		})
	}
	saveBase := func(action string) { s.save("base.toml", []byte("[route]\nCID_OTHER_HEARTBEAT = \""+action+"\"\n")) }
	saveBase("consume")
	s.save("a.toml", []byte(rows))
	s.save("config.toml", []byte("[admin]\naddress = \"\"\n[releases]\nstate = \"state\"\n[reload]\ndebounce = \"10ms\"\n"+
		"[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"a\"\n[tenant.a]\npolicy = \"file:a.toml\"\n"))
	s.run(func(srv *server) { srv.startTime = time.Hour })
	s.expect(`msg":"serving"`, 1)
	wantInForce("consume")
	saveBase("drop")
	wantInForce("drop")

	if err := s.verb(admin.Verb{Name: admin.Rollback}); err != nil {
		t.Fatal(err)
	}
	wantInForce("consume")
	kept, err := s.state.records.Load().Content(history.Sum([]byte(written("consume"))))
	if err != nil || string(kept) != written("consume") {
		t.Errorf("the history keeps %q, %v", kept, err)
	}

	// A base that is only named now is watched from then on.
	s.save("a.toml", []byte("extends = \"new.toml\"\n"))
	s.expect("there is no file", 1)
	s.save("new.toml", []byte(rows))
	saveBase("close")
	s.eventually("the policy of the new base is in force", func() bool {
		return s.state.Release("a").InForce != nil && s.state.Release("a").InForce.SHA256 == history.Sum([]byte(
			"# A routing table and what it extends, written out as one by Switchyard.\n\n[route]\n"+
				"CID_MSG_DATA = \"broadcast-all\"  # new.toml:3\nCID_OTHER_HEARTBEAT = \"close\"  # base.toml:2\nelse = \"drop, log\"\n"))
	})
}

package server

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/policy/command/custom"
)

// Changed custom commands take effect with the configuration, and so do the tables that name them. A
// refused configuration changes no names. The names are those of the process, so the test is not
// parallel.
func TestCustomCommandsAreReloaded(t *testing.T) {
	t.Cleanup((*custom.Set)(nil).Use)
	s := &testServer{t: t, dir: t.TempDir()}
	saveProto := func(field string) {
		s.save("my.proto", []byte("syntax = \"proto2\";\npackage my;\nmessage Order { optional uint32 "+field+" = 1; }\n"))
	}
	configure := func(commands, tenants string) {
		s.save("config.toml", []byte("[admin]\naddress = \"\"\n[reload]\ndebounce = \"10ms\"\n[commands]\nproto = \"my.proto\"\n"+commands+
			"[[listener]]\naddress = \"127.0.0.1:0\"\ntenant = \"a\"\n[tenant.a]\npolicy = \"file:a.toml\"\n"+tenants))
	}
	order := func(name string, id int) string {
		return fmt.Sprintf("%s = { id = %#04x, message = \"my.Order\" }\n", name, id)
	}
	known := func(what, name string, id pdu.CommandID, field string) {
		t.Helper()
		s.eventually(what, func() bool {
			c, ok := pdu.CommandByName(name)
			m := message.Type(id)
			return ok && c.ID == id && m != nil && m.Descriptor().Fields().Get(0).Name() == protoreflect.Name(field)
		})
	}
	saveProto("qty")
	s.save("a.toml", []byte("[route]\nCID_MY_ORDER = \"unicast fields 1\"\n"))
	configure(order("CID_MY_ORDER", 0x0901), "")
	s.run(func(srv *server) { srv.startTime = time.Hour })
	s.expect(`msg":"serving"`, 1)
	known("the name of the start", "CID_MY_ORDER", 0x0901, "qty")

	configure(order("CID_MY_ORDER", 0x0902), "")
	s.expect(`policy reloaded`, 1) // its table means another command
	known("the new id", "CID_MY_ORDER", 0x0902, "qty")

	saveProto("amount") // nothing but the messages
	s.expect(`"changed":["commands.proto"]`, 1)
	known("the new field", "CID_MY_ORDER", 0x0902, "amount")

	configure(order("CID_MY_FILL", 0x0903), "[tenant.b]\npolicy = \"file:none.toml\"\n")
	s.expect(`configuration refused; keeping the one in force`, 1)
	known("the names of the configuration in force", "CID_MY_ORDER", 0x0902, "amount")

	s.save("b.toml", []byte("[route]\nCID_MY_FILL = \"broadcast-all\"\n")) // a new tenant with a new name
	configure(order("CID_MY_ORDER", 0x0902)+order("CID_MY_FILL", 0x0903), "[tenant.b]\npolicy = \"file:b.toml\"\n")
	s.expect(`"msg":"policy in force","tenant":"b"`, 1)
	known("both names", "CID_MY_FILL", 0x0903, "amount")
}

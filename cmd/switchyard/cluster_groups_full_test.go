//go:build full

package main

import (
	"os"
	"strings"
	"testing"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/order/jetstream/bustest"
)

// Both hubs of TestGroupsOverHubs have the groups admin and archive. Only the first one has near, so
// the groups have other numbers at each hub, and the second hub is sent a name that it does not know.
const (
	groupsOfBoth = `
[tenant.default.group.admin]
networks = ["127.0.0.2"]
[tenant.default.group.archive]
networks = ["127.0.0.5"]
broadcasts = false
`
	groupNear = `
[tenant.default.group.near]
networks = ["127.0.0.6"]
broadcasts = false
`
	rulesOfBoth = `
extends = "teamtalk"
[from.admin]
CID_OTHER_SERVER_KICK_USER = "broadcast-except-sender, also group archive"
[route]
CID_OTHER_SERVER_KICK_USER = "drop"
CID_MSG_READ_NOTIFY        = "unicast group archive"
`
	rulesOfNear = `
CID_FILE_NOTIFY = "unicast group near"
CID_MSG_DATA    = "broadcast-except-sender, also group near"
[from.near]
CID_MSG_DATA    = "drop"
`
)

// The hub of the sender decides by its groups, and each hub sends to its own peers of the groups that
// the verdict names. A hub that does not have a group has no peer in it, until a reload gives it one.
func TestGroupsOverHubs(t *testing.T) {
	t.Parallel()
	f := startFleet(bustest.Start(t, 1), 2, fleetSettings{tenants: []string{"default"}, cluster: "replicas = 1\nalone_after = \"5m\"\n", policy: func(place int) (routes, groups string) {
		if place == 0 {
			return rulesOfBoth + rulesOfNear, groupNear + groupsOfBoth
		}
		return rulesOfBoth, groupsOfBoth
	}})
	join := func(place int, source string) peer { return f.members[place].join(from(t, source, f.addresses[place])) }
	admin1, archive1, near1, other1 := join(0, "127.0.0.2"), join(0, "127.0.0.5"), join(0, "127.0.0.6"), join(0, "127.0.0.1")
	admin2, archive2, near2, other2 := join(1, "127.0.0.2"), join(1, "127.0.0.5"), join(1, "127.0.0.6"), join(1, "127.0.0.1")
	for _, c := range []peer{admin1, archive1, near1, other1, admin2, archive2, near2, other2} {
		c.settle()
	}
	file := pdutest.Raw(pdu.CID_FILE_NOTIFY, 1, []byte("for near"))

	other1.say(kick)
	near1.say(kick, spoken("not said"))
	other2.say(kick)
	for _, c := range []peer{other1, near1, other2} {
		c.settle() // what it said before has been judged
	}
	admin1.say(kick, receipt, file, spoken("hello"))
	for _, c := range []peer{other1, admin2, near2, other2} {
		c.expect(kick, spoken("hello"))
	}
	near1.expect(file, spoken("hello"))
	archive1.expect(kick, receipt)
	archive2.expect(kick, receipt)

	// Those of the other hub decide by its own rules.
	admin2.say(kick, receipt)
	near2.expect(kick)
	near2.say(spoken("from afar"))
	for _, c := range []peer{admin1, other1, other2} {
		c.expect(kick, spoken("from afar"))
	}
	archive1.expect(kick, receipt)
	archive2.expect(kick, receipt)
	near1.settle() // nothing came

	two := f.members[1]
	file2 := two.cmd.Dir + "/config.toml"
	text, err := os.ReadFile(file2)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file2, strings.Replace(string(text), groupsOfBoth, groupsOfBoth+groupNear, 1))
	two.expect(`"msg":"configuration reloaded"`, "tenant.default.group.near")
	other1.say(file, spoken("to all"))
	near1.expect(file, spoken("to all"))
	near2.expect(file, spoken("to all"))
	other2.expect(spoken("to all"))
	archive2.settle()
}

package main

import (
	"bytes"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/proxy/cases"
	"switchyard/proxy/config"
	"switchyard/proxy/tenant"
)

// tableRecipes has, for each recipe of docs/cookbook.md that is rows of a table, cases that show its
// effect. The peers are those of cookbookPeers.
var tableRecipes = map[string]string{
	"Send typing notices only to the two users": `
		command = "CID_SWITCH_P2P_CMD"
		body    = { from_user_id = 1, to_user_id = 2, cmd_msg_data = "typing" }
		expect  = { action = "unicast", to = ["b"] }
		[[case]]
		from    = "a"
		command = "CID_SWITCH_P2P_CMD"
		body    = { from_user_id = 1, to_user_id = 9, cmd_msg_data = "typing" }
		expect  = { to = ["b", "c"] }`,
	"Send no typing notices at all": `
		command = "CID_SWITCH_P2P_CMD"
		expect  = { verdict = "drop" }`,
	"Send read receipts only to the reader's other clients": `
		command = "CID_MSG_READ_NOTIFY"
		body    = { user_id = 2, session_id = 1, msg_id = 5, session_type = "SESSION_TYPE_SINGLE" }
		expect  = { to = ["b"] }`,
	"Send files only to their receiver": `
		command = "CID_FILE_NOTIFY"
		body    = { from_user_id = 1, to_user_id = 2, file_name = "x", file_size = 1, task_id = "t", trans_mode = "FILE_TYPE_ONLINE", offline_ready = 0 }
		expect  = { to = ["b"] }
		[[case]]
		from    = "a"
		command = "CID_FILE_NOTIFY"
		body    = { from_user_id = 1, to_user_id = 9, file_name = "x", file_size = 1, task_id = "t", trans_mode = "FILE_TYPE_ONLINE", offline_ready = 0 }
		expect  = { to = [], dropped = "no-holder" }`,
	"Send no files, and see who tries": `
		command = "CID_FILE_NOTIFY"
		expect  = { verdict = "drop, log" }`,
	"Log every kick": `
		command = "CID_OTHER_SERVER_KICK_USER"
		expect  = { verdict = "broadcast-except-sender, log", to = ["b", "c"] }`,
	"Do not send a changed signature back": `
		command = "CID_BUDDY_LIST_SIGN_INFO_CHANGED_NOTIFY"
		expect  = { to = ["b", "c"] }`,
	"Stop peers that flood with one command": `
		command = "CID_MSG_DATA"
		before  = 49
		expect  = { to = ["b", "c"] }
		[[case]]
		from    = "a"
		command = "CID_MSG_DATA"
		before  = 50
		expect  = { dropped = "over-limit", to = [] }
		[[case]]
		from    = "a"
		command = "CID_FILE_NOTIFY"
		before  = 5
		wait    = "1.9s"
		expect  = { dropped = "over-limit" }
		[[case]]
		from    = "a"
		command = "CID_FILE_NOTIFY"
		before  = 5
		wait    = "2s"
		expect  = { to = ["b", "c"] }`,
	"Let commands of your own through": `
		command = 0x0901
		expect  = { to = ["b", "c"] }
		[[case]]
		from    = "a"
		command = 0x0905
		expect  = { verdict = "drop, log" }
		[[case]]
		from    = "a"
		command = 0x0a00
		expect  = { verdict = "drop, log" }`,
	"Send a command of your own to the user whom it names": `
		command = 0x0901
		hex     = "08 02"
		expect  = { to = ["b"] }`,
	"Send a command of your own to the master only": `
		command = 0x0902
		expect  = { to = ["c"] }`,
	"Let only the admin server kick users": `
		peers   = { a = {}, b = {}, admin = { groups = ["admin"] } }
		command = "CID_OTHER_SERVER_KICK_USER"
		expect  = { verdict = "drop, log" }
		[[case]]
		peers   = { a = {}, b = {}, admin = { groups = ["admin"] } }
		from    = "admin"
		command = "CID_OTHER_SERVER_KICK_USER"
		expect  = { to = ["a", "b"] }`,
	"Keep some peers from broadcasting": `
		peers   = { a = {}, b = {}, guest = { groups = ["guests"] } }
		command = "CID_MSG_DATA"
		expect  = { to = ["b", "guest"] }
		[[case]]
		peers   = { a = {}, b = {}, guest = { groups = ["guests"] } }
		from    = "guest"
		command = "CID_MSG_DATA"
		expect  = { verdict = "drop, log" }
		[[case]]
		peers   = { a = {}, b = {}, guest = { groups = ["guests"] } }
		from    = "guest"
		command = "CID_OTHER_HEARTBEAT"
		expect  = { action = "consume" }`,
	"Send a copy of every read receipt to an archive": `
		peers   = { a = {}, b = { users = [2] }, c = {}, archive = { groups = ["archive"] } }
		command = "CID_MSG_READ_NOTIFY"
		body    = { user_id = 2, session_id = 1, msg_id = 5, session_type = "SESSION_TYPE_SINGLE" }
		expect  = { to = ["b", "archive"] }
		[[case]]
		peers   = { a = {}, b = {}, archive = { groups = ["archive"] } }
		from    = "a"
		command = "CID_MSG_READ_NOTIFY"
		body    = { user_id = 2, session_id = 1, msg_id = 5, session_type = "SESSION_TYPE_SINGLE" }
		expect  = { to = ["archive"] }`,
	"Answer a command of your own with itself": `
		command = 0x0903
		expect  = { to = ["a"] }`,
	"Send a command of your own to one user, such as a bot": `
		command = 0x0904
		expect  = { to = ["c"] }`,
	"Let everything of a service of your own through": `
		service = 0x0020
		command = 0x0901
		expect  = { to = ["b", "c"] }
		[[case]]
		from    = "a"
		service = 0x0020
		command = 0x0907
		expect  = { verdict = "drop, log" }
		[[case]]
		from    = "a"
		service = 0x0021
		command = 0x0901
		expect  = { verdict = "drop, log" }
		[[case]]
		from    = "a"
		service = 0x0020
		command = "CID_OTHER_HEARTBEAT"
		expect  = { action = "consume" }`,
	"End the connection of a peer that sends unknown commands": `
		command = 0x0999
		expect  = { verdict = "close, log" }
		[[case]]
		from    = "a"
		command = "CID_MSG_DATA"
		expect  = { to = ["b", "c"] }`,
}

const cookbookPeers = "[peers]\na = { users = [1] }\nb = { users = [2] }\nc = { users = [900], master = true }\n\n[[case]]\nfrom = \"a\"\n"

// configRecipes has, for each recipe that is a configuration, what must be true of it.
var configRecipes = map[string]func(*config.Config) bool{
	"Send what concerns single users only to their servers": func(c *config.Config) bool { return theTenant(c).Policy == "unicast" },
	"Find out what another policy would save":               func(c *config.Config) bool { return theTenant(c).Audit == "unicast" },
	"Give commands of your own names": func(c *config.Config) bool {
		own := c.Commands.Set.Commands()
		return len(own) == 2 && own[0].Name == "CID_MY_ORDER" && own[0].ID == 0x0901 && own[1].Message == "IM.Message.IMMsgData"
	},
	"Send nothing to a server that ignores it": func(c *config.Config) bool {
		groups := theTenant(c).Groups
		return len(groups) == 1 && !groups[0].Broadcasts && len(groups[0].Networks) == 1
	},
	"Keep two customers apart by their networks": func(c *config.Config) bool {
		return claimed(c, tenant.Arrival{Source: netip.MustParseAddr("10.1.2.3")}) == "acme" &&
			claimed(c, tenant.Arrival{Source: netip.MustParseAddr("10.2.2.3")}) == "globex" && claimed(c, tenant.Arrival{Source: netip.MustParseAddr("10.3.2.3")}) == ""
	},
	"Keep two customers apart by their certificates": func(c *config.Config) bool {
		return claimed(c, tenant.Arrival{Identities: []string{"dns:acme-1.msgserver.test"}}) == "acme" &&
			claimed(c, tenant.Arrival{Identities: []string{"dns:globex-1.msgserver.test"}}) == "globex" && claimed(c, tenant.Arrival{Identities: []string{"dns:x.msgserver.test"}}) == ""
	},
	"Limit what a customer sends": func(c *config.Config) bool {
		q := theTenant(c).Quota
		return q.OnBreach == "slow" && q.PDUsIn == 5000 && q.BytesOut == 50<<20
	},
	"Stop a single peer that floods": func(c *config.Config) bool {
		q := theTenant(c).Quota
		return q.OnBreach == "drop" && q.PeerPDUsIn == 1000
	},
	"Limit what a customer's policy may do": func(c *config.Config) bool {
		t := theTenant(c)
		return !slices.Contains(t.May, "close") && len(t.May) == 2 && len(t.MayCommands) == 2 && t.MayElse == "drop"
	},
	"Accept one content of a policy only":          func(c *config.Config) bool { return theTenant(c).PolicySHA256 != "" },
	"Accept only signed policies":                  func(c *config.Config) bool { return theTenant(c).RequireSignature },
	"Try a changed policy on a few users first":    func(c *config.Config) bool { return theTenant(c).Release.Mode == "staged" },
	"See the peers behind a proxy or a balancer":   func(c *config.Config) bool { return len(c.Listeners[0].ProxyFrom) == 1 },
	"Admit a client type that your fork has added": func(c *config.Config) bool { return len(c.Protocol.ClientTypes) == 2 },
	"Restart without all msg_servers coming back at once": func(c *config.Config) bool {
		return time.Duration(c.Drain.Spread) == 30*time.Second && c.Drain.Timeout > c.Drain.Spread
	},
	"End connections from a network as soon as it is removed": func(c *config.Config) bool { return c.Listeners[0].Recheck },
	"Let Prometheus on another machine read the metrics":      func(c *config.Config) bool { return c.Metrics.Address != "" && len(c.Metrics.Allow) == 1 },
	"Keep a record of who connected, when and why they left":  func(c *config.Config) bool { return c.Log.AccessFile != "" },
	"Operate hubs from your own machine":                      func(c *config.Config) bool { return c.Admin.TLS.Key != "" && c.Admin.ReadTokenFile != "" },
	"Give each operator a token of their own":                 func(c *config.Config) bool { return c.Admin.OperateTokenFile != "" },
}

func theTenant(c *config.Config) config.Tenant { return c.Tenants[0] }

// claimed returns the tenant of an arrival at the first listener, or nothing.
func claimed(c *config.Config, a tenant.Arrival) string {
	var claims []tenant.Claim
	for _, name := range c.Listeners[0].Tenants {
		t, _ := c.Tenant(name)
		claims = append(claims, t.Claim())
	}
	all, err := tenant.NewClaims(c.Listeners[0].Tenant, claims...)
	if err != nil {
		return err.Error()
	}
	name, _ := all.Tenant(a)
	return name
}

// Every recipe of the cookbook does what its heading says.
func TestCookbook(t *testing.T) {
	recipes := recipesOf(t)
	t.Chdir(t.TempDir())
	write(t, "acme.toml", "[route]\nCID_MSG_DATA = \"broadcast-all\"\n")
	runs(t, "policy keygen release.key")
	runs(t, "policy sign acme.toml --key release.key --version 1 --tenant default --expires 90d")
	var mu sync.Mutex                         // guards proven
	proven := make(map[string]*config.Config) // which need a certain content or signature of acme.toml
	t.Run("recipes", func(t *testing.T) {
		n := 0
		for heading, r := range recipes {
			n++
			file := fmt.Sprintf("%d-%s", n, r.file)
			t.Run(heading, func(t *testing.T) {
				t.Parallel() // a file that was just saved is waited for
				cases, isTable := tableRecipes[heading]
				holds, isConfig := configRecipes[heading]
				switch {
				case isTable && r.file == "rows.toml":
					write(t, file, "extends = \"teamtalk\"\n\n[route]\n"+strings.Join(r.lines, "\n"))
					requirePassed(t, file, cookbookPeers+cases)
				case isConfig && r.file == "config.toml":
					write(t, file, strings.Join(r.lines, "\n"))
					c, err := config.Load(file, nil, map[string]string{"signatures.state": ""})
					if err != nil || !holds(c) {
						t.Fatalf("the configuration is not what it is meant to be: %v", err)
					}
					if err := provePolicy(c); err != nil {
						t.Error(err)
					}
					if theTenant(c).PolicySHA256 != "" || theTenant(c).RequireSignature {
						mu.Lock()
						defer mu.Unlock()
						proven[heading] = c
					}
				default:
					t.Errorf("nothing is known of this recipe in %s", r.file)
				}
			})
		}
	})
	if got, want := len(recipes), len(tableRecipes)+len(configRecipes); got != want || len(proven) != 2 {
		t.Errorf("there are %d recipes, want %d, and %d of them prove a policy, want 2", got, want, len(proven))
	}
	write(t, "acme.toml", "[route]\nCID_MSG_DATA = \"drop\"\n")
	for heading, c := range proven {
		if err := provePolicy(c); err == nil {
			t.Errorf("%s: accepts another content", heading)
		}
	}
}

// provePolicy reads the policy of the tenant, and compares its content and signature with what the
// configuration demands.
func provePolicy(c *config.Config) error {
	ledger, _ := trust.OpenLedger(c)
	_, _, err := trust.New(c, ledger).Policy(theTenant(c))
	return err
}

// requirePassed runs cases on a table.
func requirePassed(t *testing.T, table, text string) {
	t.Helper()
	list, err := cases.Parse("cases.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	g, err := loadPolicy(&options{}, table, "", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	for _, r := range cases.Results(g.Name, g.SHA256, g, list) {
		if !r.Passed {
			t.Errorf("%s: %+v", r.Name, r.Mismatches)
		}
	}
}

// recipesOf returns the examples of the cookbook by their headings.
func recipesOf(t *testing.T) map[string]example {
	t.Helper()
	recipes := make(map[string]example)
	for _, section := range strings.Split(document(t, filepath.Join(root, "docs", "cookbook.md")), "\n### ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		examples := examplesOf(text)
		if len(examples) != 1 {
			t.Fatalf("%s has %d examples, want 1", heading, len(examples))
		}
		recipes[heading] = examples[0]
	}
	return recipes
}

// runs runs a command that must succeed.
func runs(t *testing.T, command string) {
	t.Helper()
	var out bytes.Buffer
	if code := run(strings.Fields(command), nil, &out, &out); code != exitStopped {
		t.Errorf("$ switchyard %s: exit code %d\n%s", command, code, &out)
	}
}

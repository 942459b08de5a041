package config

import "testing"

func TestFaultsOfTheCluster(t *testing.T) {
	t.Parallel()
	const sound = "[cluster]\nname = \"a\"\nhub = 1\nservers = [\"tls://10.0.0.1:4222\"]\n"
	wantFaults(t, []faultCase{
		{sound, `<nil>`},
		{"[cluster]\nname = \"a\"\nhub = 4095\nservers = [\"nats://localhost:4222\", \"nats://127.0.0.1:1\", \"nats://[::1]:1\"]", `<nil>`},
		{sound + `alone_after = "0s"`, `<nil>`},
		{"[cluster]\nname = \"A\"", `2: cluster.name: "A" is not a cluster's name; write 1 to 32 of a-z, 0-9 and -, with no - at the ends, or "" for a hub of its own`},
		{"[cluster]\nname = \"a\"\nservers = [\"tls://h:1\"]", `2: cluster.name: this hub has no number; write one of 1 to 4095 in cluster.hub, another at each hub of "a"`},
		{"[cluster]\nname = \"a\"\nhub = 1", `2: cluster.name: there is no bus by which the hubs of "a" could agree; write its addresses in cluster.servers`},
		{"[cluster]\nhub = 1", `2: cluster: a number or servers without cluster.name have no effect; write the name of the hubs that act as one, or leave them out`},
		{"[cluster]\nhub = 4096", `2: cluster.hub: 4096 is out of range; write 0 to 4095`},
		{"[cluster]\nservers = [\"10.0.0.1:4222\"]", `2: cluster.servers: "10.0.0.1:4222" is not an address of the bus; write "tls://HOST:PORT", such as "tls://10.1.0.7:4222"`},
		{"[cluster]\nservers = [\"tls://10.0.0.1\"]", `2: cluster.servers: "tls://10.0.0.1" is not an address of the bus; write "tls://HOST:PORT", such as "tls://10.1.0.7:4222"`},
		{"[cluster]\nservers = [\"http://10.0.0.1:1\"]", `2: cluster.servers: "http://10.0.0.1:1" is not an address of the bus; write "tls://HOST:PORT", such as "tls://10.1.0.7:4222"`},
		{"[cluster]\nservers = [\"tls://u:secret@h:1\"]", `2: cluster.servers: "tls://u:xxxxx@h:1" has a user in it; name a file in cluster.credentials instead`},
		{"[cluster]\nservers = [\"nats://10.0.0.1:4222\"]", `2: cluster.servers: "nats://10.0.0.1:4222" is another machine, and what is said to it would not be encrypted; write "tls://10.0.0.1:4222", and let the server use TLS`},
		{sound + `certificate = "c"`, `5: cluster.certificate and cluster.key belong together; name the files of both, or none`},
		{sound + `window = "64MiB"`, `5: cluster.log: 256MiB is less than 8 windows, 512MiB, so a hub that lags a little would have to enter again; raise it or lower cluster.window`},
		{sound + "standby_links = true", `<nil>`},
		{"[cluster]\nstandby_links = true", `2: cluster.standby_links: a hub of its own serves every link; leave it out, or write the name of the hubs that act as one in cluster.name`},
		{sound + `member_timeout = "2s"`, `5: cluster.member_timeout: 2s is out of range; write 2.5s to 5m`},
		{sound + `alone_after = "2s"`, `5: cluster.alone_after: 2s is not above cluster.member_timeout, 2.5s; raise it, as the bus may take 9s to elect a leader, or write 0s for never`},
	})
}

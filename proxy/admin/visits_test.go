package admin

import (
	"strings"

	"switchyard/plugins/teamtalk"
)

// A visit is a request that is answered, for one operation of the document.
type visit struct {
	method, path string // as the document has it
	query        string
	body, kind   string
	status       int
}

// The sums of the policy in force of a full server, and of the one before.
var fullSum, keptSum = strings.Repeat("1f", 32), strings.Repeat("6f", 32)

var visits = []visit{
	{"GET", "/livez", "", "", "", 200},
	{"GET", "/healthz", "", "", "", 200},
	{"GET", "/readyz", "verbose", "", "", 200},
	{"GET", "/metrics", "", "", "", 200},
	{"GET", "/version", "", "", "", 200},
	{"GET", "/api/v1/openapi.json", "", "", "", 200},
	{"GET", "/api/v1/snapshot", "", "", "", 200},
	{"GET", "/api/v1/server", "", "", "", 200},
	{"GET", "/api/v1/last-hour", "", "", "", 200},
	{"GET", "/api/v1/last-hour", "tenant=acme", "", "", 200},
	{"GET", "/api/v1/last-hour", "tenant=x", "", "", 404},
	{"GET", "/api/v1/tenants", "", "", "", 200},
	{"GET", "/api/v1/connections", "tenant=acme&sort=lag&limit=2", "", "", 200},
	{"GET", "/api/v1/connections", "session=3", "", "", 200},
	{"GET", "/api/v1/connections", "sort=name", "", "", 400},
	{"GET", "/api/v1/connections", "tenant=x", "", "", 404},
	{"POST", "/api/v1/connections/close", "", `{"tenant":"acme","session":3,"reason":"it hangs"}`, "application/json", 200},
	{"POST", "/api/v1/connections/close", "", `{"session":99}`, "application/json", 404},
	{"POST", "/api/v1/connections/close", "", `{}`, "application/json", 400},
	{"POST", "/api/v1/connections/close", "", `{}`, "text/plain", 415},
	{"GET", "/api/v1/disconnects", "tenant=acme&limit=5", "", "", 200},
	{"GET", "/api/v1/disconnects", "limit=0", "", "", 400},
	{"GET", "/api/v1/disconnects", "tenant=x", "", "", 404},
	{"GET", "/api/v1/listeners", "", "", "", 200},
	{"GET", "/api/v1/policies", "tenant=acme", "", "", 200},
	{"GET", "/api/v1/policies", "name=x", "", "", 400},
	{"GET", "/api/v1/policies/compare", "tenant=acme&before=" + fullSum + "&after=" + keptSum, "", "", 200},
	{"GET", "/api/v1/policies/compare", "before=" + fullSum + "&after=5f", "", "", 404},
	{"GET", "/api/v1/policies/compare", "from=5f", "", "", 400},
	{"GET", "/api/v1/routes", "tenant=acme", "", "", 200},
	{"GET", "/api/v1/command", "command=CID_MSG_DATA", "", "", 200},
	{"GET", "/api/v1/command", "command=0x0999", "", "", 200},
	{"GET", "/api/v1/command", "command=CID_NONE", "", "", 400},
	{"GET", "/api/v1/presence", "user=7", "", "", 200},
	{"GET", "/api/v1/presence", "", "", "", 200},
	{"GET", "/api/v1/cluster", "tenant=acme", "", "", 200},
	{"POST", "/api/v1/evaluate", "", `{"command":"CID_MSG_DATA","body":"08 01","session":2,"master":true,"groups":["admin"]}`, "application/json", 200},
	{"POST", "/api/v1/evaluate", "", `{"tenant":"acme","hex":"00000010000100000007070a00000000"}`, "application/json", 200},
	{"POST", "/api/v1/evaluate", "", `{"tenant":"acme","hex":"00"}`, "application/json", 400},
	{"POST", "/api/v1/evaluate", "", `x`, "text/plain", 415},
	{"POST", "/api/v1/compare", "name=x.wasm", string(teamtalk.Module), "application/octet-stream", 200},
	{"POST", "/api/v1/compare", "name=x.wasm", "nothing", "application/octet-stream", 422},
	{"POST", "/api/v1/reload", "", "", "", 200},
	{"POST", "/api/v1/drain", "", "", "", 202},
	{"GET", "/api/v1/upgrade", "", "", "", 200},
	{"POST", "/api/v1/upgrade", "", `{"check":true}`, "application/json", 200},
	{"POST", "/api/v1/upgrade", "", `{}`, "application/json", 422},
	{"POST", "/api/v1/upgrade", "", `{"program":"/bin/true"}`, "application/json", 403},
	{"POST", "/api/v1/upgrade", "", `{"program":7}`, "application/json", 400},
	{"POST", "/api/v1/upgrade", "", `{}`, "text/plain", 415},
	{"GET", "/api/v1/log-level", "", "", "", 200},
	{"PUT", "/api/v1/log-level", "", `{"level":"warn"}`, "application/json", 200},
	{"PUT", "/api/v1/log-level", "", `{"level":"loud"}`, "application/json", 400},
	{"GET", "/api/v1/releases", "tenant=acme", "", "", 200},
	{"GET", "/api/v1/releases", "tenant=x", "", "", 404},
	{"GET", "/api/v1/releases/history", "tenant=acme&limit=10", "", "", 200},
	{"GET", "/api/v1/releases/history", "limit=0", "", "", 400},
	{"GET", "/api/v1/releases/receipt", "release=1", "", "", 200},
	{"GET", "/api/v1/releases/receipt", "", "", "", 400},
	{"GET", "/api/v1/releases/receipt", "release=99", "", "", 404},
	{"POST", "/api/v1/releases/promote", "", `{"tenant":"acme","all":true}`, "application/json", 200},
	{"POST", "/api/v1/releases/pause", "", `{}`, "application/json", 200},
	{"POST", "/api/v1/releases/resume", "", `{"all":true}`, "application/json", 400},
	{"POST", "/api/v1/releases/rollback", "", `{"tenant":"acme","release":1,"to":"v3","reason":"too many copies","reconnect":true}`, "application/json", 200},
	{"POST", "/api/v1/releases/retry", "", `{}`, "application/json", 409},
	{"POST", "/api/v1/releases/retry", "", `{"to":"v3"}`, "application/json", 400},
	{"POST", "/api/v1/releases/kill", "", `{"reconnect":true}`, "application/json", 400},
	{"POST", "/api/v1/releases/kill", "", `{}`, "application/json", 422},
	{"POST", "/api/v1/releases/revive", "", `{}`, "application/json", 503},
	{"POST", "/api/v1/releases/revive", "", `{}`, "text/plain", 415},
	{"GET", "/api/v1/events", "", "", "", 200},
	{"GET", "/api/v1/capture", "pdus=1", "", "", 200},
	{"GET", "/api/v1/tap", "bodies=true&user=7", "", "", 200},
}

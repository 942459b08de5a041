package browser

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A world is the state that a fake reports: two tenants, a dozen peers, a few commands.
type world struct {
	now      time.Time
	uptime   float64
	draining bool
	tenants  []*tenant
	lines    []object
	upgrade  object // nil if there was none
	server   serverParts
}

type tenant struct {
	name     string
	policy   object
	commands []command
	peers    []*peer
	history  []object // newest first
	faults   object
	dropped  object
	received int
	release  object   // as the API has it
	audit    object   // nil if nothing is audited
	entries  []object // of the history of releases, newest first
	cluster  object   // nil if the hub serves it alone
}

type command struct {
	name    string
	id      int
	verdict string
	rate    float64
	pdus    int
}

type peer struct {
	session    int
	address    string
	identities []string
	in, out    float64
	lag        int
	paused     bool
	standby    bool
	master     bool
	groups     []string
	tls        bool
}

const hard, soft = 64 << 20, 8 << 20 // bytes of lag

var start = time.Date(2031, 5, 14, 11, 30, 0, 0, time.UTC)

func newWorld() *world {
	w := &world{now: start, uptime: 93784, server: newServerParts()}
	w.tenants = []*tenant{newTenant("acme", 7, "teamtalk", 1), newTenant("default", 5, "file:routes.toml", 2)}
	w.tenants[0].peers[1].standby = true
	w.tenants[0].peers[3].groups = []string{"admins"}
	w.tenants[0].peers[2].lag, w.tenants[0].peers[2].paused = 1900<<10, true
	w.tenants[0].peers[1].tls, w.tenants[0].peers[1].identities = true, []string{"cn:north.acme"}
	for i, level := range []string{"INFO", "INFO", "WARN", "ERROR"} {
		w.lines = append(w.lines, line(i+1, level, fmt.Sprintf("line %d", i+1), object{"tenant": "acme", "reason": "quota"}))
	}
	return w
}

func line(id int, level, message string, attributes object) object {
	return object{"id": id, "time": start.Add(time.Duration(id) * time.Second), "level": level, "message": message, "attributes": attributes}
}

func newTenant(name string, peers int, policy string, first int) *tenant {
	t := &tenant{
		name: name, policy: object{"name": policy, "sha256": strings.Repeat(fmt.Sprintf("%x", 10+first), 64), "module_sha256": strings.Repeat("e", 64)},
		faults: object{}, dropped: object{"action": 12, "quota": 3},
		commands: []command{
			{"CID_MSG_DATA", 0x0301, "broadcast-except-sender", 412.5, 120345},
			{"CID_MSG_DATA_ACK", 0x0302, "drop", 0, 4},
			{"CID_MSG_READ_NOTIFY", 0x0304, "unicast to the holders of user_id, else broadcast-except-sender", 38, 9123},
			{"CID_OTHER_HEARTBEAT", 0x0701, "consume", 2.4, 5012},
			{"CID_OTHER_ROLE_SET", 0x0707, "handle role-set", 0, 14},
		},
	}
	for i := range peers {
		t.peers = append(t.peers, &peer{session: i + 1, address: fmt.Sprintf("10.%d.0.%d:%d", first, i+11, 40000+i), in: float64(17 * (i + 1)), out: float64(90 + i), master: i == 0})
	}
	t.history = []object{
		t.event(first*10+1, "in-force", "", ""),
		t.event(first*10, "refused", "signature", "no key of signatures.keys has signed it; sign it by switchyard policy sign"),
	}
	t.release = t.atOnce()
	t.entries = []object{t.entry(first, "initial", "")}
	return t
}

func (t *tenant) event(id int, state, gate, why string) object {
	return object{"id": id, "tenant": t.name, "state": state, "name": t.policy["name"], "sha256": t.policy["sha256"], "module_sha256": t.policy["module_sha256"], "signature": nil,
		"since": start.Add(time.Duration(id) * time.Minute), "until": nil, "gate": gate, "error": why, "faults": t.faults, "load_seconds": 0.0123,
		"routes": "91 known commands: 20 broadcast, 3 unicast, 4 handled, 64 dropped; the others are dropped"}
}

func rates(in, out float64) object {
	return object{"pdus_in": in, "bytes_in": in * 312, "pdus_out": out, "bytes_out": out * 312}
}

func (t *tenant) rates(now time.Time) object {
	in, out := 0.0, 0.0
	for _, p := range t.peers {
		in, out = in+p.in, out+p.out
	}
	wave := 1 + 0.4*math.Sin(float64(now.Unix())/17) + 0.1*math.Sin(float64(now.Unix())/3)
	return rates(in*wave, out*wave)
}

func (p *peer) object(tenant string, now time.Time) object {
	o := object{"tenant": tenant, "session": p.session, "peer": p.address, "listener": "127.0.0.1:8200", "identities": append([]string{}, p.identities...), "tls": nil,
		"since": start.Add(-7 * time.Hour), "master": p.master, "standby": p.standby, "groups": append([]string{}, p.groups...), "users": 120 + p.session, "pdus_in": 12, "bytes_in": 12, "pdus_out": 12, "bytes_out": 12, "over_limit": 0,
		"rates": rates(p.in, p.out), "lag": p.lag, "paused": p.paused}
	if p.tls {
		o["tls"] = object{"version": "TLS 1.3", "cipher": "TLS_AES_128_GCM_SHA256", "server_name": tenant + ".example"}
	}
	return o
}

func (t *tenant) traffic() []object {
	var all []object
	for _, c := range t.commands {
		action, _, _ := strings.Cut(c.verdict, " ")
		all = append(all, object{"command": c.name, "id": c.id, "pdus": c.pdus, "bytes": c.pdus * 312, "rate": c.rate, "actions": object{action: c.pdus}})
	}
	return all
}

func (t *tenant) lags() (most, all int) {
	for _, p := range t.peers {
		most, all = max(most, p.lag), all+p.lag
	}
	return most, all
}

// peers returns all, of one tenant or of each.
func (w *world) peers(of string) []object {
	all := []object{}
	for _, t := range w.tenants {
		for _, p := range t.peers {
			if of == "" || of == t.name {
				all = append(all, p.object(t.name, w.now))
			}
		}
	}
	return all
}

// snapshot advances the world by one second and returns its snapshot.
func (w *world) snapshot() object {
	w.now, w.uptime = w.now.Add(time.Second), w.uptime+1
	tenants, sessions, received, in, out := []object{}, 0, 0, 0.0, 0.0
	for _, t := range w.tenants {
		r := t.rates(w.now)
		for i := range t.commands {
			t.commands[i].pdus += int(t.commands[i].rate)
		}
		in, out, sessions = in+r["pdus_in"].(float64), out+r["pdus_out"].(float64), sessions+len(t.peers)
		t.received += 500
		received += t.received
		most, all := t.lags()
		paused := len(slices.DeleteFunc(slices.Clone(t.peers), func(p *peer) bool { return !p.paused }))
		one := object{"tenant": t.name, "sessions": len(t.peers), "received": t.received, "delivered": 5, "pending": 2, "dropped": t.dropped, "lost": 3,
			"discarded": object{"slow-consumer": 7}, "bytes_in": 1, "bytes_out": 1, "rates": r, "users": 840, "lag": most, "lags": all, "log": 3 << 20,
			"paused": paused, "probe_seconds": 0.00021 * (1.5 + math.Sin(float64(w.now.Unix())/9)), "policy": t.policy, "faults": t.faults, "commands": t.traffic()}
		if t.cluster != nil {
			one["cluster"] = t.cluster
		}
		tenants = append(tenants, one)
	}
	slowest := slices.DeleteFunc(w.peers(""), func(o object) bool { return o["lag"] == 0 })
	slices.SortFunc(slowest, func(a, b object) int { return b["lag"].(int) - a["lag"].(int) })
	fastest := w.peers("")
	p50 := 0.00018 + 0.00004*math.Sin(float64(w.now.Unix())/9)
	return object{"time": w.now, "uptime_seconds": w.uptime, "draining": w.draining,
		"totals": object{"tenants": len(w.tenants), "sessions": sessions, "received": received, "delivered": 1, "dropped": 30, "lost": 3, "discarded": 14, "pending": 4,
			"bytes_in": 1, "bytes_out": 1, "users": 1680, "rates": rates(in, out)},
		"latency": object{"p50": p50, "p99": 3.1 * p50, "max": 5 * p50}, "tenants": tenants, "fastest": fastest[:min(10, len(fastest))], "slowest": slowest[:min(10, len(slowest))]}
}

func (w *world) tenant(name string) *tenant {
	i := slices.IndexFunc(w.tenants, func(t *tenant) bool { return t.name == name })
	if i < 0 {
		return nil
	}
	return w.tenants[i]
}

// asked returns the tenant that a request names.
func (w *world) asked(q url.Values) (*tenant, error) {
	if t := w.tenant(q.Get("tenant")); t != nil {
		return t, nil
	}
	return nil, refusal{http.StatusNotFound, object{"error": fmt.Sprintf("tenant %q is not served", q.Get("tenant"))}}
}

func (w *world) tenantsAnswer(*http.Request) (any, error) {
	quota := object{"pdus_in": 0, "bytes_in": 0, "bytes_out": 0}
	all := []object{}
	for _, t := range w.tenants {
		most, lags := t.lags()
		all = append(all, object{"tenant": t.name, "sessions": len(t.peers), "received": t.received, "accepted": object{}, "dropped": t.dropped, "lost": 3, "made": 0, "due": 0,
			"delivered": 0, "pending": 0, "discarded": object{}, "bytes_in": 0, "bytes_out": 0, "slowed": object{}, "slowed_seconds": object{}, "groups": []object{}, "rates": t.rates(w.now), "users": 0,
			"lag": most, "lags": lags, "log": 3 << 20, "probe_seconds": nil, "policy": t.policy, "policy_error": "", "audit_error": "", "audit": nullable(t.audit),
			"limits": object{"connections": 16384, "lag_hard": hard, "lag_soft": soft, "lag_soft_seconds": 10, "log": 256 << 20, "max_pdu": 16 << 20, "users": 10000000,
				"peer_users": 10000000, "on_breach": "slow", "quota": quota, "peer_quota": quota}})
	}
	return object{"tenants": all}, nil
}

func (w *world) connectionsAnswer(r *http.Request) (any, error) {
	q := r.URL.Query()
	all := w.peers(q.Get("tenant"))
	if q.Get("sort") == "lag" {
		slices.SortStableFunc(all, func(a, b object) int { return b["lag"].(int) - a["lag"].(int) })
	}
	if number := q.Get("session"); number != "" {
		all = slices.DeleteFunc(all, func(o object) bool { return fmt.Sprint(o["session"]) != number })
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		return nil, refusal{http.StatusBadRequest, object{"error": err.Error()}}
	}
	return object{"total": len(all), "connections": all[:min(limit, len(all))]}, nil
}

func decision(verdict string) object {
	action, _, _ := strings.Cut(verdict, " ")
	return object{"verdict": verdict, "word": "0x0000000000000004", "action": action, "decided": "constant"}
}

func route(name string, first, last int, known bool, verdict string) object {
	return object{"command": name, "first": first, "last": last, "known": known, "alike": false, "services": []string{"any"}, "decision": decision(verdict),
		"pdus": 0, "bytes": 0, "rate": 0, "actions": object{}}
}

func (w *world) routesAnswer(r *http.Request) (any, error) {
	t, err := w.asked(r.URL.Query())
	if err != nil {
		return nil, err
	}
	routes := []object{}
	for _, c := range t.commands {
		routes = append(routes, route(c.name, c.id, c.id, true, c.verdict))
	}
	plain := route("CID_FILE_STATE", 0x505, 0x505, true, "drop")
	plain["alike"] = true
	routes = append(routes, plain, route("0x0720-0x072f", 0x720, 0x72f, false, "broadcast-all"), route("else", 0, 0xffff, false, "drop"))
	return object{"tenant": t.name, "policy": t.policy, "routes": routes, "asked": "all commands of 9 services", "warnings": []string{}}, nil
}

func (w *world) policiesAnswer(*http.Request) (any, error) {
	all := []object{}
	for _, t := range w.tenants {
		all = append(all, object{"tenant": t.name, "history": t.history})
	}
	return object{"policies": all}, nil
}

func (w *world) evaluateAnswer(r *http.Request) (any, error) {
	var q object
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, refusal{http.StatusBadRequest, object{"error": err.Error()}}
	}
	t := w.tenant(fmt.Sprint(q["tenant"]))
	if t == nil || q["command"] == "CID_NONE" {
		return nil, refusal{http.StatusBadRequest, object{"error": `"CID_NONE" is not a command; did you mean CID_FILE_STATE?`}}
	}
	answer := object{"export": "classify", "decision": decision("broadcast-except-sender"), "remembered": true, "fuel": 41, "fuel_limit": 1000000, "memory": 65536}
	body, _ := q["body"].(string)
	seq, _ := q["seq"].(float64)
	groups := []any{}
	if asked, ok := q["groups"].([]any); ok {
		groups = asked
	}
	return object{"tenant": t.name, "policy": t.policy, "pdu": object{"service": "SID_MSG", "command": "CID_MSG_DATA", "seq": seq, "length": 16 + len(body)/2,
		"header": "00000019000100030301000000000000", "body": body, "fields": object{"from_user_id": 42, "msg_data": "hello"}},
		"sender": object{"session": q["session"], "attributes": 1, "groups": groups}, "by_ids": answer, "inspection": nil, "decision": decision("broadcast-except-sender"),
		"fault": nil, "copies": 6, "sessions": []int{2, 3, 4, 5, 6, 7}, "notes": []string{"the sender is not among the sessions that are served"}}, nil
}

func (w *world) compareAnswer(r *http.Request) (any, error) {
	t, err := w.asked(r.URL.Query())
	if err != nil {
		return nil, err
	}
	if text, _ := io.ReadAll(r.Body); strings.Contains(string(text), "nonsense") {
		return nil, refusal{http.StatusUnprocessableEntity, object{"error": "line 1: not a routing table", "gate": "read"}}
	}
	change := func(name string, id int, before, after string, unproven bool) object {
		return object{"command": name, "first": id, "last": id, "known": true, "alike": false, "unproven": unproven, "services": []string{"any"}, "before": decision(before), "after": decision(after)}
	}
	return object{"tenant": t.name, "before": t.policy, "after": object{"name": r.URL.Query().Get("name"), "sha256": strings.Repeat("c", 64), "module_sha256": strings.Repeat("c", 64)}, "same": false, "asked": "all commands of 9 services",
		"changes":  []object{change("CID_MSG_DATA", 0x301, "broadcast-except-sender", "drop", false), change("CID_FILE_NOTIFY", 0x508, "inspect", "inspect", true)},
		"warnings": []string{"it drops all commands of SID_FILE"}}, nil
}

package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// The parts of the world about the server itself, its last hour, and single things.

// serverParts are what the fake answers about the process.
type serverParts struct {
	right       string // of the client
	configError string
	restart     []string
	expires     time.Duration // of the certificate, from start on
	level       string
	hour        []object // samples
	marks       []object
	disconnects []object
	tap         []object // lines of a tap
}

func newServerParts() serverParts {
	s := serverParts{right: "operate", expires: 90 * 24 * time.Hour, level: "info"}
	for n := range 330 {
		at := start.Add(time.Duration(n-330) * 10 * time.Second)
		s.hour = append(s.hour, object{"time": at, "rates": rates(float64(300+n%40), float64(900+n%90)), "lag": n << 10, "probe_seconds": nil,
			"latency": object{"p50": 0.0002, "p99": 0.0006, "max": 0.001}})
	}
	s.marks = []object{mark(-50*time.Minute, "start", "", "the server started"), mark(-20*time.Minute, "reload", "", "configuration reloaded: log.level"), mark(-10*time.Minute, "refused", "acme", "policy teamtalk refused")}
	s.disconnects = []object{disconnect("acme", 91, "10.1.0.13:50001", "slow-consumer", true, -2*time.Minute), disconnect("default", 92, "10.2.0.11:50002", "peer-closed", false, -3*time.Minute),
		disconnect("acme", 90, "10.1.0.77:50003", "bad-length", true, -2*time.Hour)}
	s.tap = []object{tapped("CID_MSG_DATA", "broadcast-except-sender", 60), tapped("CID_MSG_DATA", "broadcast-except-sender", 40), tapped("CID_OTHER_HEARTBEAT", "consume", 16)}
	return s
}

func mark(at time.Duration, kind, tenant, text string) object {
	return object{"time": start.Add(at), "kind": kind, "tenant": tenant, "text": text}
}

func disconnect(tenant string, session int, peer, reason string, warning bool, at time.Duration) object {
	identity, _, _ := strings.Cut(peer, ":")
	return object{"tenant": tenant, "session": session, "peer": peer, "listener": "127.0.0.1:8200", "identity": identity, "master": false, "since": start.Add(at - time.Hour), "until": start.Add(at),
		"reason": reason, "error": "", "warning": warning, "pdus_in": 70, "bytes_in": 7000, "pdus_out": 210, "bytes_out": 21000, "lag": 3 << 20}
}

func tapped(command, verdict string, length int) object {
	return object{"kind": "pdu", "time": start, "tenant": "acme", "session": 3, "service": "SID_MSG", "command": command, "seq": 1, "length": length, "verdict": verdict, "action": verdict}
}

func (w *world) serverAnswer(*http.Request) (any, error) {
	return object{"version": "v1.4.2", "host": "hub-a", "pid": 4711, "started": start.Add(-26 * time.Hour), "uptime_seconds": 93784, "draining": w.draining, "right": w.server.right,
		"configuration": object{"file": "/etc/switchyard/config.toml", "since": start.Add(-time.Hour), "error": w.server.configError, "restart": append([]string{}, w.server.restart...)}}, nil
}

func (w *world) listenersAnswer(*http.Request) (any, error) {
	one := func(address string, until any) object {
		return object{"listener": address, "address": address, "tenant": "acme", "tenants": []string{"default"}, "tls": until != nil, "mutual_tls": until != nil, "certificate_until": until,
			"certificate_error": "", "certificate_warnings": []string{}, "accepted": 14, "handshaking": 0, "open": 12, "ended": 2, "refused": object{"not-allowed": 3}, "sources": 2}
	}
	return object{"listeners": []object{one("127.0.0.1:8200", nil), one("127.0.0.1:8443", start.Add(w.server.expires))}}, nil
}

func (w *world) lastHourAnswer(r *http.Request) (any, error) {
	a := object{"tenant": r.URL.Query().Get("tenant"), "since": start, "every_seconds": 10, "samples": w.server.hour, "marks": w.server.marks}
	if len(w.server.hour) > 0 {
		a["since"] = w.server.hour[0]["time"]
	}
	return a, nil
}

func (w *world) disconnectsAnswer(r *http.Request) (any, error) {
	some := []object{}
	for _, d := range w.server.disconnects {
		if of := r.URL.Query().Get("tenant"); of == "" || of == d["tenant"] {
			some = append(some, d)
		}
	}
	return object{"disconnects": some}, nil
}

func (w *world) commandAnswer(r *http.Request) (any, error) {
	field := func(name string, number int, kind string) object {
		return object{"name": name, "number": number, "type": kind, "repeated": false, "required": true}
	}
	kind := field("msg_type", 5, "enum")
	kind["values"] = object{"MSG_TYPE_SINGLE_TEXT": 1}
	name := r.URL.Query().Get("command")
	if name == "CID_NONE" {
		return nil, refusal{http.StatusBadRequest, object{"error": "command: no such command"}}
	}
	if name == "0x0301" {
		name = "CID_MSG_DATA"
	}
	return object{"command": name, "id": 0x301, "service": "SID_MSG", "message": "IM.Message.IMMsgData", "fields": []object{field("from_user_id", 1, "uint32"), kind, field("msg_data", 6, "bytes")}}, nil
}

func (w *world) policiesCompareAnswer(r *http.Request) (any, error) {
	a, err := w.compareAnswer(r)
	if err == nil {
		q := r.URL.Query()
		a.(object)["before"] = object{"name": "teamtalk", "sha256": q.Get("before"), "module_sha256": ""}
	}
	return a, err
}

func (w *world) closeAnswer(r *http.Request) (any, error) {
	var q struct {
		Tenant  string
		Session int
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, refusal{http.StatusBadRequest, object{"error": err.Error()}}
	}
	t := w.tenant(q.Tenant)
	for i, p := range t.peers {
		if p.session == q.Session {
			t.peers = append(t.peers[:i:i], t.peers[i+1:]...)
			w.server.disconnects = append([]object{disconnect(t.name, p.session, p.address, "operator", false, 0)}, w.server.disconnects...)
			return object{"tenant": t.name, "session": p.session, "peer": p.address}, nil
		}
	}
	return nil, refusal{http.StatusNotFound, object{"error": fmt.Sprintf("tenant %s has no session %d", q.Tenant, q.Session)}}
}

func (w *world) reloadAnswer(*http.Request) (any, error) {
	return object{"ok": true, "error": "", "configuration": object{"result": "changed", "changed": []string{"peer.timeout"}, "restart": []string{}, "error": ""}, "listeners": []object{}, "tenants": []object{}}, nil
}

func (w *world) drainAnswer(*http.Request) (any, error) {
	w.draining = true
	return object{"draining": true, "timeout_seconds": 30}, nil
}

func (w *world) logLevelAnswer(r *http.Request) (any, error) {
	if r.Method == http.MethodPut {
		var q struct{ Level string }
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			return nil, refusal{http.StatusBadRequest, object{"error": err.Error()}}
		}
		w.server.level = q.Level
	}
	return object{"level": w.server.level, "configured": "info"}, nil
}

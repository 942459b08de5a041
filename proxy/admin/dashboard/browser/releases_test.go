package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Releases: the world's part of them, and what the page shows and does.

// nullable returns null for no object.
func nullable(o object) any {
	if o == nil {
		return nil
	}
	return o
}

func (t *tenant) released(version int) object {
	return object{"name": t.policy["name"], "sha256": strings.Repeat(fmt.Sprint(version), 64), "identity": "1", "version": version, "signers": []string{}}
}

// atOnce is the state of a tenant without a release under way.
func (t *tenant) atOnce() object {
	return object{"tenant": t.name, "mode": "at-once", "release": 1, "in_force": t.released(6), "previous": []object{}, "held": []object{}, "killed": false, "drift": "", "stage": nil, "refused": "",
		"outdated_peers": 0, "reconnecting": false}
}

// begin puts release 12 of the tenant at the second of three stages.
func (t *tenant) begin() {
	step := func(state string, share float64) object { return object{"state": state, "share": share} }
	budget := func(name string, used, allowed, ratio float64) object {
		return object{"budget": name, "used": used, "allowed": allowed, "ratio": ratio}
	}
	t.release["mode"], t.release["release"] = "staged", 12
	t.release["stage"] = object{"candidate": t.released(7), "state": "stage", "share": 0.1, "effective": 0.12, "next_unit_at": 0.13, "paused": false, "reason": "", "held_seconds": 240.0, "hold_seconds": 300.0,
		"weighed": 1204, "sample": 3000, "steps": []object{step("shadow", 0), step("stage", 0.01), step("stage", 0.1), step("stage", 0.5), step("bake", 1)}, "step": 2,
		"budgets": []object{budget("faults", 0, 0, 0), budget("closes", 0, 0, 0), budget("undelivered", 0.0002, 0.001, 0.2), budget("copies", -0.41, 0.25, 0), budget("bytes", 0.2, 0.25, 0.8), budget("fuel", 1200, 100000, 0.012)},
		"alike":   5120, "by_stable": 18000, "by_candidate": 2204, "commands": []string{"CID_MSG_DATA", "CID_MSG_READ_NOTIFY"}, "unseen": []string{"CID_MSG_READ_NOTIFY"},
		"counts": object{"pdus": 20204, "unweighed": 4, "differ": 900, "faults": 0, "closes": 0, "undelivered": 4, "copies": []int{100, 59}, "bytes": []int{1000, 1200}, "fuel": []int{9, 9}}}
}

func (t *tenant) entry(n int, kind, reason string) object {
	return object{"n": n, "time": start.Add(time.Duration(n) * time.Minute), "kind": kind, "tenant": t.name, "release": n, "from": t.released(5), "to": t.released(6),
		"who": object{"by": "file", "owner": "1000", "changed": nil, "signers": []string{"ops.pem"}}, "reason": reason}
}

func (w *world) releasesAnswer(*http.Request) (any, error) {
	all, entries := []object{}, 0
	for _, t := range w.tenants {
		all = append(all, t.release)
		entries += len(t.entries)
	}
	return object{"releases": all, "history": object{"entries": entries, "head": fmt.Sprint(entries), "unsaved": 0, "intact": true, "error": ""}}, nil
}

func (w *world) releaseHistoryAnswer(r *http.Request) (any, error) {
	all := []object{}
	for _, t := range w.tenants {
		if name := r.URL.Query().Get("tenant"); name == "" || name == t.name {
			all = append(all, t.entries...)
		}
	}
	return object{"entries": all}, nil
}

func (w *world) receiptAnswer(r *http.Request) (any, error) {
	statement := object{"_type": "a statement", "predicate": object{"release": r.URL.Query().Get("release"), "reason": hostile[0]}}
	return object{"release": 1, "signers": []string{}, "statement": statement, "receipt": statement}, nil
}

func (w *world) verbAnswer(r *http.Request) (any, error) {
	var q object
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, refusal{http.StatusBadRequest, object{"error": err.Error()}}
	}
	t := w.tenant(fmt.Sprint(q["tenant"]))
	if fmt.Sprint(q["release"]) != fmt.Sprint(t.release["release"]) {
		return nil, refusal{http.StatusConflict, object{"error": fmt.Sprintf("release %v is not the present one", q["release"])}}
	}
	stage, _ := t.release["stage"].(object)
	switch r.PathValue("verb") {
	case "pause", "resume":
		stage["paused"], stage["reason"] = r.PathValue("verb") == "pause", q["reason"]
	case "rollback":
		t.release["stage"], t.release["held"], t.release["outdated_peers"] = nil, []object{t.released(7)}, 3
		t.entries = append([]object{t.entry(40, "rolled-back", fmt.Sprint(q["reason"]))}, t.entries...)
	case "retry":
		t.release["held"], t.release["outdated_peers"] = []object{}, 0
		t.begin()
	case "kill", "revive":
		t.release["killed"], t.release["stage"] = r.PathValue("verb") == "kill", nil
	}
	return t.release, nil
}

const card = "#releases-cards article:nth-child(1) "

// verb presses a button of the first card, and confirms.
func (p *page) verb(name, reason string) {
	p.t.Helper()
	p.click(card + ".verb-" + name)
	p.until("document.activeElement.closest('.confirm') !== null")
	p.enter(card+".confirm input", reason)
	p.click(card + ".confirm button[type=submit]")
}

func TestRelease(t *testing.T) {
	f, p := opened(t, "status of 409")
	p.shows(card, "acme", "In force v6 666666666666.", "initial", "ops.pem")
	if p.text(card+".steps")+p.text(card+".verb-promote")+p.text(card+".verb-rollback")+p.text(card+".verb-retry") != "" {
		t.Error("steps or buttons are shown without a release and without a policy to go back to")
	}
	f.change(func(w *world) { w.tenants[0].begin() })
	p.shows(card+".headline", "Release 12: v7 777777777777 is obeyed for 12 %.")
	p.shows(card+".steps", "✓ shadow", "✓ 1 %", "▶ 10 %", "50 %", "bake")
	if got := p.text(card + "[aria-current=step]"); got != "▶ 10 %" {
		t.Errorf("the present step is %q", got)
	}
	p.shows(card+".budgets", "undelivered", "0.02 % of 0.1 %", "−41 % of +25 %", "1200 of 100 k units")
	if got := eval[[]float64](p, "[...document.querySelectorAll('"+card+"meter')].map(m => m.value)"); !slices.Equal(got, []float64{0, 0, 0.2, 0, 0.8, 0.012}) {
		t.Errorf("the bars show %v", got)
	}
	p.shows(card+".facts", "50 % after 60.00 s and 1796 more weighed PDUs", "1204 PDUs in this stage; 20.2 k in all, 4 not compared", "5120 PDUs alike, 18.0 k as the stable policy, 2204 as the candidate", "CID_MSG_DATA, CID_MSG_READ_NOTIFY")
	p.shows("#releases-count", "1 under way")
	p.picture("release")

	// Buttons ask first, and name the release that was shown.
	asked := len(f.requests())
	p.click(card + ".verb-kill")
	p.shows(card+".confirm", "Kill the policy of tenant acme?")
	p.press("\x1b")
	p.until("!document.querySelector('" + card + ".confirm').checkVisibility()")
	if slices.ContainsFunc(f.requests()[asked:], func(r string) bool { return strings.HasPrefix(r, "POST") }) {
		t.Error("a verb was sent that was not confirmed")
	}
	p.verb("pause", "lunch <b>")
	p.shows(card+".answer", "Pause: done.")
	p.shows(card+".facts", "Paused: lunch <b>")
	p.shows(card+".steps", "‖ 10 %")
	if got := f.lastBody(); got != `{"tenant":"acme","release":12,"reason":"lunch <b>"}` {
		t.Errorf("sent %s", got)
	}
	p.verb("resume", "")
	p.shows(card+".steps", "▶ 10 %")
	p.verb("promote", "")
	p.shows(card+".answer", "Promote: done.")

	// Another release than the one that was shown is not touched.
	p.click(card + ".verb-rollback")
	f.change(func(w *world) { w.tenants[0].release["release"] = 13 })
	p.shows(card+".headline", "Release 13")
	p.click(card + ".confirm button[type=submit]")
	p.shows(card+".answer", "release 12 is not the present one")
	p.click(card + ".confirm button[type=button]")
	p.verb("rollback", "too many copies")
	p.shows(card+".receipts", "rolled-back", "too many copies")
	p.until("!document.querySelector('" + card + ".steps').checkVisibility()")
	p.click(card + ".receipts button")
	p.shows(card+".receipt", "a statement", "<img src=x onerror=")
	p.shows(card+".facts", "Held back", "v7 777777777777", "3 announced their users to a policy that handled presence otherwise")

	// What is held back can be tried again.
	p.verb("retry", "repaired")
	p.shows(card+".answer", "Retry: done.")
	p.shows(card+".steps", "▶ 10 %")
	p.until("!document.querySelector('" + card + ".verb-retry').checkVisibility()")
	if got := f.lastBody(); got != `{"tenant":"acme","release":13,"reason":"repaired"}` {
		t.Errorf("sent %s", got)
	}
	p.verb("kill", "")
	p.shows(card+".headline", "The shipped policy is in force; v6 666666666666 is back after revive.")
	p.verb("revive", "")
	p.shows(card+".headline", "In force v6 666666666666.")
}

// The facts of the audit come with the limits, every ten seconds.
func TestAuditInCard(t *testing.T) {
	w := newWorld()
	w.tenants[0].audit = object{"policy": w.tenants[0].policy, "rows": []object{{"command": "CID_MSG_DATA", "pdus": 70, "sent": object{"pdus": 210, "bytes": 1}, "audited": object{"pdus": 140, "bytes": 1},
		"useless": object{"pdus": 80, "bytes": 1}, "missed": object{"pdus": 10, "bytes": 1}, "faults": 3}}}
	p := open(t, newFake(t, w).URL, wide)
	p.shows(card+".facts", "teamtalk bbbbbbbbbbbb: 70 PDUs; copies 140 instead of 210, 80 useless, 10 missed; 3 faults")
}

// A change is told by the stream, and read out.
func TestReleaseEvent(t *testing.T) {
	f, p := opened(t)
	var e object
	f.change(func(w *world) {
		e = w.tenants[0].entry(41, "rolled-back", "faults: 1 of 9 PDUs")
		w.tenants[0].entries = append([]object{e}, w.tenants[0].entries...)
	})
	f.tell("release", e)
	p.shows("#announcements", "Tenant acme: rolled-back of release 41, faults: 1 of 9 PDUs.")
	p.shows(card+".receipts", "faults: 1 of 9 PDUs")
}

func TestReleaseWithoutRight(t *testing.T) {
	f, p := opened(t, "status of 401")
	f.mu.Lock()
	f.operate = "operator"
	f.mu.Unlock()
	f.change(func(w *world) { w.tenants[0].release["held"] = []object{w.tenants[0].released(7)} })
	p.until("document.querySelector('" + card + ".verb-retry').checkVisibility()")
	p.verb("retry", "")
	p.shows(card+".answer", "Retry needs the operate token")
	p.shows(card+".facts", "Held back")
	p.verb("kill", "")
	p.shows(card+".answer", "Kill needs the operate token")
	p.shows(card+".headline", "In force")
}

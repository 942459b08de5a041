//go:build full || race

package main

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
	"switchyard/proxy/admin/api"
)

// An upgrade gives nobody a new burst of a rate limit, and the counts of releases and what the dashboard
// knows of the last hour continue.
func TestUpgradeKeepsWhatWasCounted(t *testing.T) {
	t.Parallel()
	r := &released{T: t, dir: t.TempDir()}
	r.configure(staged)
	r.table("broadcast-except-sender, limit 1/min per peer burst 5, limit 1/min per tenant burst 6")
	r.restart()
	r.table("drop")
	r.expect("release begins")
	begun := time.Now()
	if got := r.chat(6); got != 5 {
		t.Errorf("%d of 6 chats arrive, want 5", got)
	}
	r.expect("release rolled back")
	counted := regexp.MustCompile(`(?m)^switchyard_(releases_total{result="rolled-back"|release_pdus_total{side="stable").* [1-9]$`).FindAllString(r.metrics(), -1)
	if len(counted) != 2 {
		t.Errorf("counted are %q", counted)
	}
	u := r.upgrade()
	if text := r.metrics(); !containsAll(text, counted) {
		t.Errorf("the metrics do not have all of %q:\n%s", counted, text)
	}
	if took := time.Since(begun); took < time.Minute/2 {
		r.wantUsedLimits()
	} else {
		t.Logf("the upgrade took %v: after a minute, each limit lets another chat through", took)
	}

	var h api.LastHour
	eventually(t, func() bool { // the first sample of this process is one more for the charts
		answer, err := u.admin().Open(t.Context(), "/api/v1/last-hour", url.Values{"tenant": {"default"}})
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Close()
		if err := json.NewDecoder(answer).Decode(&h); err != nil {
			t.Fatal(err)
		}
		return len(h.Samples) > 0
	}, func() string { return "no samples" })
	var marks []string
	for _, m := range h.Marks {
		marks = append(marks, m.Text)
	}
	if all := strings.Join(marks, "; "); !strings.Contains(all, "the server started") || !strings.Contains(all, "upgraded from") {
		t.Errorf("marks: %s", all)
	}
}

// wantUsedLimits checks that of the limits of TestUpgradeKeepsWhatWasCounted nothing is left to the
// sender, and one chat to the tenant.
func (r *released) wantUsedLimits() {
	r.Helper()
	chat := pdutest.Raw(pdu.CID_MSG_DATA, 1, []byte{8, 1})
	r.sender.say(chat) // over the limit of this peer
	r.sender.settle()
	r.receiver.say(chat) // the last one within that of the tenant
	r.receiver.say(chat)
	r.receiver.settle()
	r.sender.expect(chat)
	r.sender.settle()
	r.receiver.settle()
	r.wantMetrics(`pdus_dropped_total{reason="over-limit",tenant="default"} 3`)
}

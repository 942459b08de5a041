package proxy

import (
	"strings"
	"testing"
	"testing/synctest"

	"switchyard/pdu"
	"switchyard/pdu/body"
	"switchyard/proxy/hub"
)

// An announcement with a client type of a fork is dropped, and the line names the field. With
// the type admitted, all of its users are known. That takes effect in a running tenant.
func TestClientTypes(t *testing.T) {
	inBubble(t, testLimits(), func(y bubble) {
		a := y.enter()
		announcement := pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_ONLINE_USER_INFO, 0,
			[]byte("\x0a\x06\x08\x05\x10\x01\x18\x12\x0a\x06\x08\x06\x10\x01\x18\x13"))
		a.Write(announcement)
		synctest.Wait()
		y.expectCounts("by default", func(c hub.Counts) bool { return c.Dropped[hub.MalformedBody] == 1 })
		for _, want := range []string{`msg="PDU dropped: malformed-body"`, `error="no valid client_type (0x13 is unknown) at byte 16 of the body"`, "field=client_type"} {
			if !strings.Contains(y.lines.String(), want) {
				t.Errorf("the line does not say %s:\n%s", want, y.lines)
			}
		}
		l := testLimits()
		l.ClientTypes = body.ClientTypes{0x13: body.ClientAndroid}
		y.SetLimits(l)
		a.Write(announcement)
		synctest.Wait()
		y.expectCounts("admitted", func(c hub.Counts) bool { return c.Dropped[hub.MalformedBody] == 1 && c.Received == 2 })
		if users, _ := y.Hub().Presence(); users != 2 {
			t.Errorf("%d users are known, want 2", users)
		}
		a.Close()
	})
}

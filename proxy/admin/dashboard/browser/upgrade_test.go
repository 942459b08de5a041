package browser

import (
	"maps"
	"net/http"
	"testing"
	"time"
)

// upgradeAnswer answers with the last upgrade.
func (w *world) upgradeAnswer(*http.Request) (any, error) {
	u := object{"result": "none", "check": false, "begun": nil, "step": "", "error": "", "program": "", "from": "", "to": "", "pid": 0,
		"frozen_seconds": 0, "moved": 0, "drained": 0, "closed": 0}
	maps.Copy(u, w.upgrade)
	return u, nil
}

// The last upgrade is in the overview, whether it has succeeded or not.
func TestUpgrade(t *testing.T) {
	for _, c := range []struct {
		upgrade object
		want    []string
	}{
		{object{"result": "done", "begun": time.Now(), "program": "/bin/switchyard", "from": "v1.4.0", "to": "v1.5.0", "pid": 7, "frozen_seconds": 0.038, "moved": 498, "drained": 2},
			[]string{"Upgraded from v1.4.0 to v1.5.0", "498 sessions moved, 2 drained, 0 closed", "after a pause of 38.0 ms"}},
		{object{"result": "failed", "begun": time.Now(), "program": "/bin/other", "from": "v1.4.0", "step": "offer", "error": "<b>the new process ended</b>"},
			[]string{"Upgrade from v1.4.0 to /bin/other failed at the step offer", "<b>the new process ended</b>"}},
	} {
		w := newWorld()
		w.upgrade = c.upgrade
		p := open(t, newFake(t, w).URL, wide)
		p.live()
		p.shows("#upgrade", c.want...)
	}
}

package cluster

import "time"

// twiceTime is how often a member looks for a msg_server that is connected to two hubs.
const twiceTime = time.Minute

// A twiceWatch is what a member knows of msg_servers that are connected to two hubs.
type twiceWatch struct {
	looked         time.Time
	session, other uint64 // found at the last look, or 0
	warned         bool
}

// warnOfTwice warns once of a msg_server that is connected to two hubs, if two looks in a row have
// found it. A msg_server that has reconnected to another hub is connected twice as well, but only until
// its old hub has been declared gone.
func (c *membership) warnOfTwice(now time.Time) {
	w := &c.twice
	if w.warned || now.Sub(w.looked) < twiceTime {
		return
	}
	session, other := c.settings.Hub.FindTwice()
	w.warned = session != 0 && session == w.session && other == w.other
	w.looked, w.session, w.other = now, session, other
	if w.warned {
		c.log.Warn("a msg_server seems to be connected to two hubs of the cluster, so its users count twice and it receives everything twice", "session", session, "other", other,
			"hint", "set cluster.standby_links at all hubs, or give each msg_server one address")
	}
}

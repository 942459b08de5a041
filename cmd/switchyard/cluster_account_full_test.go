//go:build full

package main

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"switchyard/pdu/pdutest"
)

// An account is what became of numbered traffic.
type account struct {
	said, heard int
	lost        int // by connections that were open all the time
	doubled     int
	disordered  int             // PDUs that arrived after a later one of the same talker
	misdirected int             // PDUs that a connection received although they were for others
	misordered  int             // connections that received the PDUs in another order than the others
	first       string          // describes the first fault
	pause       []time.Duration // for each hub, the longest time in which nothing arrived
	tolerated   int             // PDUs that did not arrive, and that the hubs may lose
}

func (a account) String() string {
	return fmt.Sprintf("%d said, %d heard, %d lost, %d doubled, %d out of order, %d misdirected, %d connections with another order, %d tolerated; longest pauses %v",
		a.said, a.heard, a.lost, a.doubled, a.disordered, a.misdirected, a.misordered, a.tolerated, a.pause)
}

// fault records the first fault for people.
func (a *account) fault(count *int, format string, args ...any) {
	if *count++; a.first == "" {
		a.first = fmt.Sprintf(format, args...)
	}
}

// mayLose reports whether the hubs may lose a PDU. They may lose a unicast if the receiver's hub has
// entered the cluster again meanwhile, because the receiver's users were offline for the other hubs
// until then. They may lose every PDU between a hub that was alone and the other hubs.
func (tr *numberedTraffic) mayLose(from *talker, k kind, to *talker) bool {
	return k == isUnicast && tr.again[to.place] || (from.place == tr.apart) != (to.place == tr.apart)
}

// count settles, and counts what became of all that was said since begin. Everything must have
// arrived at every connection that was open all the time, except what mayLose allows.
func (tr *numberedTraffic) count() account {
	tr.t.Helper()
	tr.quiet()
	tr.checkAnswers(tr.settle())
	tr.again = make(map[int]bool)
	for place, times := range tr.hubs.entries() {
		tr.again[place] = times != tr.entered[place]
	}
	var a account
	a.pause = make([]time.Duration, len(tr.hubs.addresses))
	heard := make(map[*talker][]event)
	for _, k := range tr.talkers {
		a.said += len(k.to) - k.from
		k.mu.Lock()
		heard[k] = k.heard
		if !k.mayEnd {
			a.pause[k.place] = max(a.pause[k.place], k.longest.Round(time.Millisecond))
		}
		k.mu.Unlock()
	}
	reached := tr.reached(heard)
	for _, to := range tr.talkers {
		a.heard += len(heard[to])
		tr.countOne(&a, to, heard[to], reached)
	}
	tr.compareOrder(&a, heard)
	return a
}

// reached returns how much of what each talker said must have arrived: everything, or, if its
// connection ended, what has arrived anywhere.
func (tr *numberedTraffic) reached(heard map[*talker][]event) []int {
	reached := make([]int, len(tr.talkers))
	for _, events := range heard {
		for _, e := range events {
			if int(e.from) < len(reached) && e.kind != isUnicast {
				reached[e.from] = max(reached[e.from], int(e.number)+1)
			}
		}
	}
	for i, k := range tr.talkers {
		if !k.isAllowedToEnd() {
			reached[i] = len(k.to)
		}
	}
	return reached
}

// countOne counts what a talker heard.
func (tr *numberedTraffic) countOne(a *account, to *talker, heard []event, reached []int) {
	seen := make(map[event]bool, len(heard))
	next := make([]uint32, len(tr.talkers))
	for _, e := range heard {
		if int(e.from) >= len(tr.talkers) {
			a.fault(&a.misdirected, "talker %d heard %+v", to.id, e)
			continue
		}
		from := tr.talkers[e.from]
		switch {
		case seen[e]:
			a.fault(&a.doubled, "talker %d heard %+v twice", to.id, e)
		case int(e.number) < from.from || int(e.number) >= len(from.to) || !slices.Contains(from.kinds(e.number, to), e.kind):
			a.fault(&a.misdirected, "talker %d heard %+v", to.id, e)
		case e.number < next[e.from]:
			a.fault(&a.disordered, "talker %d heard %+v behind number %d", to.id, e, next[e.from])
		}
		seen[e] = true
		next[e.from] = max(next[e.from], e.number)
	}
	if to.isAllowedToEnd() || to.late {
		return
	}
	for _, from := range tr.talkers {
		for number := from.from; number < reached[from.id]; number++ {
			for _, k := range from.kinds(uint32(number), to) {
				if seen[event{uint32(from.id), uint32(number), k}] {
					continue
				}
				if tr.mayLose(from, k, to) {
					a.tolerated++
					continue
				}
				a.fault(&a.lost, "talker %d at hub %d did not hear number %d, kind %d, of talker %d at hub %d", to.id, to.place, number, k, from.id, from.place)
			}
		}
	}
}

// kinds returns what a talker hears of something that t says.
func (t *talker) kinds(number uint32, to *talker) []kind {
	switch m := number % 16; {
	case m%8 == 5 || m%8 == 6:
		if t.to[number] == to.id {
			return []kind{isUnicast}
		}
	case m == 7:
		return []kind{isLogin, isStatus}
	case m == 15:
		return []kind{isLogout}
	case t != to:
		return []kind{isBroadcast}
	}
	return nil
}

// compareOrder compares the order of what goes to everybody with that in which a talker that says
// nothing heard it. A connection that was not open all the time must have heard a part without gaps.
func (tr *numberedTraffic) compareOrder(a *account, heard map[*talker][]event) {
	var all []event
	for _, k := range tr.talkers {
		if k.mute && !k.isAllowedToEnd() && !k.late && k.place != tr.apart {
			all = common(heard[k])
			break
		}
	}
	for _, k := range tr.talkers {
		if k.place == tr.apart {
			continue
		}
		got := common(heard[k])
		want := slices.DeleteFunc(slices.Clone(all), func(e event) bool { return int(e.from) == k.id && e.kind == isBroadcast })
		if k.isAllowedToEnd() || k.late {
			want = part(want, got, k.isAllowedToEnd())
		}
		if slices.Equal(want, got) {
			continue
		}
		at := 0
		for at < min(len(want), len(got)) && want[at] == got[at] {
			at++
		}
		a.fault(&a.misordered, "talker %d at hub %d heard %d events in another order, the first is number %d: %v, want %v", k.id, k.place, len(got), at, around(got, at), around(want, at))
	}
}

// common returns those events that go to everybody.
func common(events []event) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.kind == isUnicast })
}

// part returns the part of all that begins with the first event of got: to the end, or, if it ends
// early, as many events as got has.
func part(all, got []event, early bool) []event {
	if len(got) == 0 {
		return nil
	}
	at := slices.Index(all, got[0])
	if at < 0 {
		return nil
	}
	if all = all[at:]; early {
		all = all[:min(len(all), len(got))]
	}
	return all
}

// around returns the events at some place.
func around(events []event, at int) []event {
	return events[max(0, min(at-2, len(events))):min(at+3, len(events))]
}

// checkAnswers checks that all hubs know the same users.
func (tr *numberedTraffic) checkAnswers(answers map[*talker][]byte) {
	tr.t.Helper()
	open := tr.open()
	for _, k := range open {
		if !bytes.Equal(answers[k], answers[open[0]]) {
			tr.t.Errorf("hub %d and hub %d know other users:\n%s\n%s", open[0].place, k.place, pdutest.Dump(answers[open[0]]), pdutest.Dump(answers[k]))
			return
		}
	}
}

// check fails the test unless everything arrived once and in order.
func (a account) check(tr *numberedTraffic, during string) {
	tr.t.Helper()
	tr.t.Logf("%s: %v", during, a)
	if a.lost+a.doubled+a.disordered+a.misdirected+a.misordered > 0 {
		tr.t.Errorf("%s: %v", during, a.first)
	}
	if a.said == 0 || a.heard == 0 {
		tr.t.Errorf("%s: there was no traffic", during)
	}
}

// checkAccounts checks that what the hubs have counted adds up to what was said to them.
func (tr *numberedTraffic) checkAccounts() {
	tr.t.Helper()
	said, counted := make(map[string]uint64), make(map[string]uint64)
	for _, k := range tr.talkers {
		for number := range k.to {
			switch {
			case number%8 < 5:
				said["CID_MSG_DATA"]++
			case number%8 < 7:
				said["CID_FILE_NOTIFY"]++
			default:
				said["CID_OTHER_USER_STATUS_UPDATE"]++
			}
		}
	}
	for _, place := range tr.hubs.places() {
		s, err := tr.hubs.members[place].admin.Snapshot(tr.t.Context())
		if err != nil {
			tr.t.Fatal(err)
		}
		one, sum := s.Tenants[0], uint64(0)
		for _, c := range one.Commands {
			counted[c.Command] += c.PDUs
			sum += c.PDUs
		}
		if one.Received != sum || one.Pending != 0 || one.Lost != 0 {
			tr.t.Errorf("hub %d: received %d PDUs, %d by command; %d copies pending, %d lost", place+1, one.Received, sum, one.Pending, one.Lost)
		}
	}
	for command, n := range said {
		if counted[command] != n {
			tr.t.Errorf("the hubs have counted %d %s, the talkers said %d", counted[command], command, n)
		}
	}
}

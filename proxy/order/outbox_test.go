package order_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy"
	"switchyard/policy/abi"
	"switchyard/proxy/order"
)

var start = time.Unix(2_000_000, 0)

// A box is an outbox whose appends are written down: "3" is the record with number 3, "3+" a part of
// a batch that is not its last.
type box struct {
	*testing.T
	*order.Outbox
	now time.Time
}

func newBox(t *testing.T, window, queue int) *box {
	o := order.NewOutbox(1, 7, window, queue)
	o.Resume()
	return &box{t, o, start}
}

// say says n records of 24 bytes.
func (b *box) say(n int) {
	for range n {
		b.Say(&order.Record{Kind: order.Left, Session: 1})
	}
}

// wants checks what Next returns until it has no more.
func (b *box) wants(want string) {
	b.Helper()
	var got []string
	for {
		record, ok := b.Next(b.now)
		if !ok {
			break
		}
		r, err := order.Parse(record)
		if err != nil || r.Origin != b.Origin() {
			b.Fatalf("record of %v: %v", r.Origin, err)
		}
		s := fmt.Sprint(r.Number)
		if r.Left > 0 {
			s += "+"
		}
		got = append(got, s)
	}
	if got := strings.Join(got, " "); got != want {
		b.Fatalf("after %v: got %q, want %q", b.now.Sub(start), got, want)
	}
}

func (b *box) after(d time.Duration) *box {
	b.now = b.now.Add(d)
	return b
}

// read says that these were read back.
func (b *box) read(numbers ...uint64) *box {
	for _, n := range numbers {
		b.Back(b.now, &order.Record{Kind: order.Left, Origin: b.Origin(), Number: n})
	}
	return b
}

func (b *box) wantWake(want time.Duration) {
	b.Helper()
	if got := b.Wake().Sub(b.now); got != want {
		b.Fatalf("Wake is in %v, want %v", got, want)
	}
}

// Rule 1: a gap has everything said again, once, and again only for what was new since.
func TestGap(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.say(6)
	b.wants("1 2 3 4 5 6")
	b.after(10*time.Millisecond).read(1, 3).wants("2")
	b.read(4, 5, 6).wants("")
	b.read(2).wants("3")
	b.read(3).wants("4 5")
	b.say(2)
	b.read(4).wants("6")
	b.read(5, 6).wants("7 8")
	b.read(8).wants("7")
	b.read(7).wants("8")
	b.read(8)
	if n, bytes, oldest := b.Underway(); n != 0 || bytes != 0 || !oldest.IsZero() {
		t.Errorf("%d records, %d bytes, %v are under way", n, bytes, oldest)
	}
}

// A record that was first said after a loss proves that what was said again is lost as well.
func TestGapAfterGap(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.say(10)
	b.wants("1 2 3 4 5 6 7 8 9 10")
	b.read(2).wants("1 2")
	b.read(1, 2).wants("3 4 5") // more room for each that comes back
	b.read(3, 4, 5).wants("6 7 8 9 10")
	b.read(8, 9).wants("") // may be earlier copies
	b.say(1)
	b.read(6).wants("11")
	b.read(11).wants("7")
	b.read(7).wants("8")
	b.read(8).wants("9 10")
}

// Rule 2: nothing is read, so the first is said again, alone, ever more seldom.
func TestProbe(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.say(3)
	b.wants("1 2 3")
	b.wantWake(time.Second)
	b.after(999 * time.Millisecond).wants("")
	b.after(time.Millisecond).wants("1")
	b.wantWake(2 * time.Second)
	b.after(1999 * time.Millisecond).wants("")
	b.after(time.Millisecond).wants("1")
	b.after(3999 * time.Millisecond).wants("")
	b.after(time.Millisecond).wants("1")
	b.after(4 * time.Second).wants("1")
	b.after(4 * time.Second).wants("1")
}

// When a probe comes back, the others may do so as well; if not, they are lost.
func TestAfterProbe(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.say(3)
	b.wants("1 2 3")
	b.after(time.Second).wants("1")
	b.read(1).wants("")
	b.wantWake(100 * time.Millisecond)
	b.after(99 * time.Millisecond).read(2).wants("")
	b.after(99 * time.Millisecond).wants("")
	b.after(time.Millisecond).wants("3")
	b.read(3).wants("")
	if !b.Wake().IsZero() {
		t.Errorf("Wake is %v although nothing is under way", b.Wake())
	}
	b.say(2)
	b.wants("4")
	b.read(4).wants("5")
	b.after(999 * time.Millisecond).wants("")
	b.after(time.Millisecond).wants("5")
}

// What is said while a probe is under way is not lost with what was before it.
func TestSaidAfterProbe(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.say(2)
	b.wants("1 2")
	b.after(time.Second).wants("1")
	b.say(1)
	b.wants("3")
	b.read(1, 2).wants("")
	b.after(500 * time.Millisecond).wants("")
	b.wantWake(500 * time.Millisecond)
}

// Rule 3: the log continues, so a probe at once; but not for what was said a moment ago.
func TestHeardAfterPause(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.Heard(b.now)
	b.say(2)
	b.wants("1 2")
	b.after(time.Second).wants("1")
	b.after(2 * time.Second).wants("1")
	b.after(500 * time.Millisecond)
	b.Heard(b.now)
	b.wants("1")
	b.Heard(b.now)
	b.after(900 * time.Millisecond)
	b.Heard(b.now)
	b.wants("")
	b.wantWake(100 * time.Millisecond) // the wait has begun again
	b.read(1, 2)
	b.after(2 * time.Second)
	b.say(1)
	b.wants("3")
	b.Heard(b.now)
	b.wants("")
}

func TestReached(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.Probe()
	b.say(2)
	b.wants("1 2")
	b.after(time.Millisecond).Probe()
	b.wants("1")
	b.wants("")
}

// At most window bytes are under way, and the outbox is full when queue bytes wait. What hubs say to
// each other waits for neither.
func TestWindowAndQueue(t *testing.T) {
	b := newBox(t, 3*24, 2*24)
	b.say(4)
	b.wants("1 2 3")
	if b.Full() {
		t.Error("full with one record waiting")
	}
	b.say(1)
	if !b.Full() {
		t.Error("not full with two records waiting")
	}
	b.Say(&order.Record{Kind: order.Beat})
	b.wants("4")
	if n, bytes, oldest := b.Underway(); n != 6 || bytes < 5*24 || oldest != b.now {
		t.Errorf("%d records, %d bytes, %v are under way", n, bytes, oldest)
	}
	b.read(1, 2).wants("") // the beat counts into the window
	b.read(3, 4).wants("5 6")
	if b.Full() {
		t.Error("full with nothing waiting")
	}
	if n, bytes, _ := b.Underway(); n != 2 || bytes != 2*24 {
		t.Errorf("%d records, %d bytes are under way", n, bytes)
	}
}

// One record may be under way however small the window is.
func TestSmallWindow(t *testing.T) {
	b := newBox(t, 1, 1000)
	b.say(2)
	b.wants("1")
	b.read(1).wants("2")
}

// Records that are not of this stay, or were never appended, change nothing.
func TestForeignRecords(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.say(2)
	b.wants("1 2")
	b.Back(b.now, &order.Record{Kind: order.Left, Origin: order.Origin{Hub: 1, Incarnation: 6}, Number: 1})
	b.read(0, 3, 4, 1<<63).wants("")
	if n, _, _ := b.Underway(); n != 2 {
		t.Errorf("%d records are under way, want 2", n)
	}
}

// A batch that is longer than a record goes in parts; a beat may go between batches, and the batch
// behind it waits.
func TestParts(t *testing.T) {
	b := newBox(t, 4<<20, 4<<20)
	body := pdu.Append(nil, pdu.SID_MSG, 1, 0, slices.Repeat([]byte("0123456789"), 60_000))
	batch := order.Record{Kind: order.Batch, Session: 5, Runs: []order.Run{{Verdict: policy.Verdict(abi.BroadcastAll), PDUs: 1, Bytes: body}}}
	b.Say(&batch)
	clear(body) // Say has taken a copy
	b.Say(&order.Record{Kind: order.Beat})
	b.say(1)
	b.wants("1 2+ 3+ 4 5")
	b.read(1, 2, 3)
	b.read(5).wants("4")
	b.read(4).wants("5")
}

// What is handed out stays as it is, also when the hub enters again and numbers it again.
func TestRecordsStay(t *testing.T) {
	b := newBox(t, 1000, 1000)
	b.say(1)
	first, _ := b.Next(b.now)
	before := string(first)
	b.Enter(8)
	b.Resume()
	b.wants("1")
	if string(first) != before {
		t.Error("the record has changed after it was handed out")
	}
}

// After Enter, what was under way waits, in its order, until Resume.
func TestEnterAgain(t *testing.T) {
	b := newBox(t, 4*24, 1000)
	b.Say(&order.Record{Kind: order.Beat})
	for session := range uint64(6) {
		b.Say(&order.Record{Kind: order.Left, Session: session})
	}
	b.wants("1 2")
	b.read(1).wants("3 4 5")
	b.read(2)
	b.Enter(8)
	b.Say(&order.Record{Kind: order.Enter})
	b.Say(&order.Record{Kind: order.Left, Session: 6})
	b.SayFirst(&order.Record{Kind: order.Left, Session: 77})
	b.wants("1")
	b.read(1).wants("2")
	b.Resume()
	b.read(2).wants("3 4 5 6")
	var sessions []uint64
	for _, r := range b.TakeAll() {
		sessions = append(sessions, r.Session)
	}
	if want := []uint64{1, 2, 3, 4, 5, 6}; !slices.Equal(sessions, want) {
		t.Errorf("TakeAll returns sessions %v, want %v", sessions, want)
	}
	if n, bytes, _ := b.Underway(); n != 0 || bytes != 0 {
		t.Errorf("%d records, %d bytes are left", n, bytes)
	}
}

// Settle takes out what the members have counted, of each incarnation.
func TestSettle(t *testing.T) {
	b := newBox(t, 1<<20, 1<<20)
	long := order.Record{Kind: order.Batch, Session: 3, Runs: []order.Run{{Verdict: policy.Verdict(abi.BroadcastAll), PDUs: 1, Bytes: pdus(1, 300<<10)}}}
	b.Say(&order.Record{Kind: order.Left, Session: 1}) // 1
	b.Say(&order.Record{Kind: order.Left, Session: 2}) // 2
	b.Say(&long)                                       // 3 and 4
	b.Say(&order.Record{Kind: order.Left, Session: 4}) // 5
	b.wants("1 2 3+ 4 5")
	nextOf := func(inc uint32, next uint64) func(order.Origin) (uint64, bool) {
		return func(o order.Origin) (uint64, bool) { return next, o == order.Origin{Hub: 1, Incarnation: inc} }
	}
	b.Enter(8)
	b.SayFirst(&order.Record{Kind: order.Left, Session: 9})
	b.Enter(9) // before the members were asked about 7
	settled := b.Settle(nextOf(7, 4))
	if len(settled) != 2 || settled[0].Session != 1 || settled[1].Session != 2 || settled[1].Number != 2 || settled[1].Incarnation != 7 {
		t.Errorf("of incarnation 7, Settle(4) returns %+v", settled)
	}
	if settled = b.Settle(nextOf(8, 2)); len(settled) != 1 || settled[0].Session != 9 {
		t.Errorf("of incarnation 8, Settle(2) returns %+v", settled)
	}
	settled = b.Settle(nextOf(7, 5))
	if len(settled) != 1 || len(settled[0].Runs) != 1 || string(settled[0].Runs[0].Bytes) != string(long.Runs[0].Bytes) {
		t.Errorf("Settle(5) returns %d records", len(settled))
	}
	b.Resume()
	b.Enter(10)
	if settled = b.Settle(nextOf(7, 100)); len(settled) != 0 {
		t.Errorf("Settle returns %+v, which the hub has resumed", settled)
	}
	b.Resume()
	b.wants("1")
}

// What was said before Enter and counts while the hub asks to enter again is not said again, nor
// settled.
func TestCounted(t *testing.T) {
	b := newBox(t, 1<<20, 1<<20)
	b.say(3)
	b.wants("1 2 3")
	b.Enter(8)
	old := order.Origin{Hub: 1, Incarnation: 7}
	b.Counted(&order.Record{Kind: order.Joined, Origin: old, Number: 2})
	b.Counted(&order.Record{Kind: order.Joined, Origin: old, Number: 4})
	b.Counted(&order.Record{Kind: order.Joined, Origin: order.Origin{Hub: 1, Incarnation: 6}, Number: 1})
	settled := b.Settle(func(order.Origin) (next uint64, known bool) { return 3, true })
	if len(settled) != 1 || settled[0].Number != 1 {
		t.Errorf("Settle returns %+v, want the record with number 1", settled)
	}
	b.Resume()
	b.wants("1")
}

package browser

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"
)

// The boxes that try something.

func (p *page) evaluate(fields map[string]string) {
	p.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		p.enter("#evaluate-"+name, fields[name])
	}
	p.click("#evaluate button[type=submit]")
}

func TestEvaluateByCommand(t *testing.T) {
	f, p := opened(t)
	if names := eval[[]string](p, "[...document.querySelectorAll('#commands option')].map(o => o.value)"); !slices.Contains(names, "CID_MSG_READ_NOTIFY") || slices.Contains(names, "else") {
		t.Errorf("commands that are offered: %q", names)
	}
	p.choose("#evaluate-tenant", "default")
	p.click("#evaluate-master")
	eval[bool](p, "(document.getElementById('evaluate-body').value = '1 = 42\\n6 = \"hé\"\\n20: x0AfF\\n3=-1', true)")
	p.evaluate(map[string]string{"command": "CID_MSG_DATA", "seq": "7", "session": "3", "groups": " admin,archive "})
	p.shows("#evaluate-answer", "broadcast-except-sender", "CID_MSG_DATA of SID_MSG, sequence number 7", "session 3, master, in admin, in archive", "asked once for these ids; 41 of 1.00 M fuel, 64.0 KiB",
		"6: sessions 2, 3, 4, 5, 6, 7", "file:routes.toml cccccccccccc of default", "not among the sessions", `"msg_data": "hello"`, "00000019000100030301000000000000")
	var sent object
	if err := json.Unmarshal([]byte(f.lastBody()), &sent); err != nil {
		t.Fatal(err)
	}
	// The fields by protobuf's rules: varint, length and bytes, and ten bytes for what
	// is below zero.
	want := object{"tenant": "default", "session": 3.0, "master": true, "groups": []any{"admin", "archive"}, "command": "CID_MSG_DATA", "seq": 7.0, "body": "082a" + "320368c3a9" + "a201020aff" + "18ffffffffffffffffff01"}
	if !reflect.DeepEqual(sent, want) {
		t.Errorf("sent %v, want %v", sent, want)
	}
	p.view("evaluated")
}

// The sender can be in no group, as opposed to those of the session's peer.
func TestEvaluateWithoutGroups(t *testing.T) {
	f, p := opened(t)
	wantSent := func(disabled bool, groups any) {
		t.Helper()
		if got := eval[bool](p, "document.getElementById('evaluate-groups').disabled"); got != disabled {
			t.Errorf("the field of groups is disabled: %v, want %v", got, disabled)
		}
		before := f.lastBody()
		p.click("#evaluate button[type=submit]")
		for deadline := time.Now().Add(patience); f.lastBody() == before; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing was sent")
			}
		}
		var sent object
		if err := json.Unmarshal([]byte(f.lastBody()), &sent); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(sent["groups"], groups) {
			t.Errorf("sent the groups %v, want %v", sent["groups"], groups)
		}
	}
	p.enter("#evaluate-command", "CID_MSG_DATA")
	wantSent(false, nil)
	p.enter("#evaluate-groups", "admin")
	wantSent(false, []any{"admin"})
	p.click("#evaluate-no-groups")
	wantSent(true, []any{})
	p.click("#evaluate-no-groups")
	wantSent(false, []any{"admin"})
}

func TestEvaluateHex(t *testing.T) {
	f, p := opened(t)
	p.click("#evaluate input[value=hex]")
	p.until("!document.getElementById('evaluate-hex').parentNode.hidden && document.getElementById('evaluate-fields').hidden")
	p.evaluate(map[string]string{"hex": "00 00 00 10 00 01 00 07 07 01 00 00 00 00 00 0"})
	p.shows("#evaluate-answer", "31 hex digits are not a whole number of bytes")
	p.evaluate(map[string]string{"hex": "00 00 00 1g"})
	p.shows("#evaluate-answer", `"g" is not a hex digit`)
	if f.lastBody() != "" {
		t.Errorf("what is wrong was sent: %s", f.lastBody())
	}
	p.evaluate(map[string]string{"hex": "0000 0010 0001 0007 0701 0000 0000 0000"})
	p.shows("#evaluate-answer", "broadcast-except-sender")
	var sent object
	if err := json.Unmarshal([]byte(f.lastBody()), &sent); err != nil {
		t.Fatal(err)
	}
	if sent["hex"] != "00000010000100070701000000000000" || sent["command"] != nil {
		t.Errorf("sent %v", sent)
	}
}

func TestEvaluateWrong(t *testing.T) {
	_, p := opened(t, "status of 400")
	p.click("#evaluate button[type=submit]")
	p.shows("#evaluate-answer", "Command: write its name or its id")
	p.evaluate(map[string]string{"command": "CID_MSG_DATA", "seq": "70000"})
	p.shows("#evaluate-answer", "Sequence number: write a whole number from 0 to 65535")
	p.evaluate(map[string]string{"seq": "0", "body": "1 = two"})
	p.shows("#evaluate-answer", `Body: line 1: "two" is not a value`)
	p.evaluate(map[string]string{"body": "", "command": "CID_NONE"})
	eval[bool](p, "(document.getElementById('evaluate-body').value = '', true)")
	p.click("#evaluate button[type=submit]")
	p.shows("#evaluate-answer", `"CID_NONE" is not a command; did you mean CID_FILE_STATE?`)
}

func (p *page) candidate(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	p.do(setFiles("#compare-file", path))
}

func TestCompare(t *testing.T) {
	f, p := opened(t, "status of 422")
	if !eval[bool](p, "document.getElementById('compare-send').disabled") {
		t.Error("nothing can be compared without a file")
	}
	p.candidate("next.toml", "default = \"drop\"\n")
	p.shows("#compare-name", "next.toml, 17 B")
	p.click("#compare-send")
	p.shows("#compare-answer", "1 route would change, 1 more may.", "next.toml cccccccccccc", "CID_MSG_DATA", "broadcast-except-sender", "drop", "only traffic can show a difference", "it drops all commands of SID_FILE")
	requests := f.requests()
	if want := "POST /api/v1/compare?name=next.toml&tenant=acme"; !slices.Contains(requests, want) {
		t.Errorf("asked %q, want %s", requests, want)
	}
	if f.lastBody() != "default = \"drop\"\n" {
		t.Errorf("sent %q", f.lastBody())
	}
	p.candidate("bad.toml", "nonsense")
	p.until("document.getElementById('compare-answer').innerText === ''")
	p.click("#compare-send")
	p.shows("#compare-answer", "Refused by the gate read.", "line 1: not a routing table")
}

// drop makes what a browser makes when a file is let go over an element.
const drop = `(() => {
	const dragged = new DataTransfer();
	dragged.items.add(new File(['default = "drop"'], 'dragged.toml'));
	const target = document.querySelector(%q);
	const kept = ['dragover', 'drop'].map(name => target.dispatchEvent(new DragEvent(name, { bubbles: true, cancelable: true, dataTransfer: dragged })));
	return kept.every(k => !k);
})()`

func TestDrag(t *testing.T) {
	f, p := opened(t)
	if !eval[bool](p, fmt.Sprintf(drop, "#log")) {
		t.Error("a file that is dropped beside the box replaces the page")
	}
	if p.text("#compare-name") != "or drag it here" {
		t.Error("a file that is dropped beside the box is taken")
	}
	if !eval[bool](p, fmt.Sprintf(drop, "#compare-drop")) {
		t.Error("a file that is dropped on the box replaces the page")
	}
	p.shows("#compare-name", "dragged.toml, 16 B")
	p.click("#compare-send")
	p.shows("#compare-answer", "1 route would change")
	if f.lastBody() != `default = "drop"` {
		t.Errorf("sent %q", f.lastBody())
	}
}

// The parts that take text apart, without the page around them.
func TestModules(t *testing.T) {
	_, p := opened(t)
	for _, c := range []struct{ expression, want string }{
		// Events cut anywhere are the same events.
		{`import('/assets/sse.js').then(({ EventReader }) => {
			const text = ': hi\r\n\r\nevent: a\r\ndata: 1\r\ndata:  2\r\n\r\nid: 7\ndata\n\ndata: x\revent: b\r\revent: none\n\ndata: unfinished\n';
			const whole = JSON.stringify(new EventReader().push(text));
			for (let size = 1; size < text.length; size++) {
				const reader = new EventReader();
				const got = [];
				for (let at = 0; at < text.length; at += size) got.push(...reader.push(text.slice(at, at + size)));
				if (JSON.stringify(got) !== whole) return size + ': ' + JSON.stringify(got);
			}
			return whole;
		})`, `[{"name":"a","data":"1\n 2"},{"name":"message","data":""},{"name":"b","data":"x"}]`},
		{`import('/assets/sse.js').then(({ EventReader }) => { try { const r = new EventReader(); for (let i = 0; i < 40; i++) r.push('x'.repeat(1 << 20)); return 'took it'; } catch (e) { return e.message; } })`,
			"an event of the server is too long"},
		{`import('/assets/text.js').then(t => [0, 0.04, 0.3, 9.94, 9.96, 999, 999.6, 1234, 1e15, NaN, null].map(t.rate).join(' | '))`, "0 | 0.0 | 0.3 | 9.9 | 10 | 999 | 1.00 k | 1.23 k | 1.00 P | 0 | 0"},
		{`import('/assets/text.js').then(t => [0, 1023, 1024, 1048575, 3 * 2 ** 30].map(t.bytes).join(' | '))`, "0 B | 1023 B | 1.00 KiB | 1.00 MiB | 3.00 GiB"},
		{`import('/assets/text.js').then(t => [0, 85e-6, 0.0012, 0.9996, 12.345, 180].map(t.seconds).join(' | '))`, "0 µs | 85 µs | 1.20 ms | 1.00 s | 12.35 s | 180 s"},
		{`import('/assets/text.js').then(t => [t.count(9999), t.count(12345), t.id(0x301), t.short('abcdef0123456789'), t.reasons({ b: 1, a: 20, c: 0 }), t.age('2031-01-01T00:00:00Z', '2031-01-01T03:00:00Z')].join(' | '))`,
			"9999 | 12.3 k | 0x0301 | abcdef012345 | a 20, b 1 | 3 h"},
		{`import('/assets/body.js').then(({ bodyOf }) => ['', ' 0aFF \n 01', '0x0a', '1 = 300\n2: "a=b"', '15 = true', '1 = 18446744073709551615'].map(bodyOf).join(' | '))`,
			" | 0aff01 | 0a | 08ac021203613d62 | 7801 | 08ffffffffffffffffff01"},
		{`import('/assets/body.js').then(({ bodyOf }) => ['abc', '0 = 1', '1 = 18446744073709551616', '1 = "open', '1 = x0', 'a\n1 = 2'].map(t => { try { return bodyOf(t); } catch (e) { return e.message.slice(0, 24); } }).join(' | '))`,
			`3 hex digits are not a w | line 1: fields have numb | line 1: 1844674407370955 | line 1: Unterminated str | line 1: 1 hex digits are | line 1: "a" is not a fie`},
		// Five minutes, and not more, in memory that does not grow.
		{`import('/assets/history.js').then(({ History }) => {
			const h = new History();
			const at = s => new Date(Date.UTC(2031, 0, 1) + 1000 * s).toISOString();
			for (let s = 0; s < 1000; s++) h.add({ time: at(s), totals: { rates: { pdus_in: s } }, latency: null, tenants: [{ tenant: '__proto__', rates: {}, probe_seconds: null }] });
			const all = h.samples('', 300000).samples;
			h.add({ time: at(500), totals: {}, tenants: [] }); // a clock that was set back
			return [all.length, all[0].pdusIn, all.at(-1).pdusIn, h.samples('', 300000).samples.length, h.samples('__proto__', 300000).samples.length].join(' ');
		})`, "301 699 999 1 0"},
		// The server's samples come before those of snapshots, and none is shown twice.
		{`import('/assets/history.js').then(({ History }) => {
			const h = new History();
			const at = s => new Date(Date.UTC(2031, 0, 1) + 1000 * s).toISOString();
			const hour = [];
			for (let s = 0; s <= 3600; s += 10) hour.push({ time: at(s), rates: { pdus_in: 1 }, lag: 7, latency: null, probe_seconds: null });
			h.begin({ tenant: '', since: at(0), samples: hour, marks: [{ time: at(-9), kind: 'start' }, { time: at(1200), kind: 'reload' }] });
			for (let s = 3500; s <= 3620; s++) h.add({ time: at(s), totals: { rates: { pdus_in: 2 } }, latency: null, tenants: [] });
			const [hours, minutes] = [h.samples('', 3600000), h.samples('', 300000)];
			const rises = all => all.samples.every((x, i) => i === 0 || x.time > all.samples[i - 1].time);
			return [hours.samples.length, rises(hours), hours.marks.length, minutes.samples.length, rises(minutes), minutes.marks.length, minutes.samples[0].lag, h.samples('acme', 3600000).samples.length].join(' ');
		})`, "379 true 1 139 true 0 7 0"},
		// Fields have names, and values by their types.
		{`import('/assets/body.js').then(({ bodyOf }) => {
			const fields = [{ name: 'from_user_id', number: 1, type: 'uint32' }, { name: 'msg_type', number: 5, type: 'enum', values: { SINGLE: 17 } }, { name: 'msg_data', number: 6, type: 'bytes' }, { name: 'list', number: 7, type: 'message' }];
			const tried = t => { try { return bodyOf(t, fields); } catch (e) { return e.message; } };
			return ['from_user_id = 300\nmsg_type = SINGLE\nmsg_data = 42', 'msg_data: x0aff', '1 = 1\nmsg_data = "a=b"', 'from_user = 1', 'msg_type = DOUBLE', 'from_user_id = many', 'list = a'].map(tried).join(' | ');
		})`, `08ac02281132023432 | 32020aff | 08013203613d62 | line 1: "from_user" is not a field of the command; it has from_user_id, msg_type, msg_data, list | line 1: "DOUBLE" is not a value of msg_type; it has SINGLE | line 1: from_user_id takes a whole number, not "many" | line 1: list is a message; write its bytes as x0aff`},
	} {
		if got := eval[string](p, c.expression); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.expression, got, c.want)
		}
	}
}

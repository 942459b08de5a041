package presence

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func all(Holder) bool { return true }

// exported returns the chunks of a table.
func exported(t testing.TB, d *Directory, keep func(Holder) bool) (chunks [][]byte) {
	t.Helper()
	err := d.Export(keep, func(chunk []byte) error {
		if len(chunk) == 0 || len(chunk) > maxChunk {
			t.Errorf("a chunk of %d bytes", len(chunk))
		}
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return chunks
}

// imported returns the table of the chunks.
func imported(chunks [][]byte) (*Directory, error) {
	return Import(func() ([]byte, error) {
		if len(chunks) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		chunk := chunks[0]
		chunks = chunks[1:]
		return chunk, nil
	})
}

// moved returns a copy of the table, made by export and import.
func moved(t testing.TB, d *Directory, keep func(Holder) bool) *Directory {
	t.Helper()
	again, err := imported(exported(t, d, keep))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

// A known is what a table knows of a user.
type known struct {
	counts  [4]uint32
	holders string // in their order
}

func tableOf(d *Directory) map[uint32]known {
	all := make(map[uint32]known)
	for id, u := range d.users {
		all[id] = known{u.counts, fmt.Sprint(d.Holders(id, nil))}
	}
	return all
}

// A Directory that is exported and imported in the middle of a random history continues as
// the model does. At the export some holders are still leaving.
func TestImportedDirectoryAgreesWithModel(t *testing.T) {
	for _, size := range []struct{ peers, users int }{{1, 1}, {2, 2}, {3, 4}, {8, 5}, {4, 60}} {
		t.Run(fmt.Sprintf("%d peers, %d users", size.peers, size.users), func(t *testing.T) {
			w := walk{t: t, r: rand.New(rand.NewPCG(uint64(size.peers), 13)), d: New(), m: model{}, users: size.users}
			for range size.peers {
				w.connect()
			}
			for n := range 3000 {
				w.step()
				if n%50 != 0 {
					continue
				}
				w.d, w.closing = moved(t, w.d, all), nil
				checkInvariants(t, w.d)
				if t.Failed() {
					t.Fatalf("after %d steps, the last: %s", n+1, w.last)
				}
			}
		})
	}
}

// The imported table has every user, with its holders in their order and with all counts,
// and no users of holders that were left out.
func TestExportIsExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	w := walk{t: t, r: r, d: New(), m: model{}, users: 300}
	for range 40 {
		w.connect()
	}
	for range 4000 {
		w.step()
	}
	w.d.Leave(w.peers[0], 3)
	want := tableOf(moved(t, w.d, all))
	if got := tableOf(w.d); !maps.Equal(got, want) || len(want) < 100 {
		t.Fatalf("%d users were exported and %d imported, or they differ", len(got), len(want))
	}

	odd := func(h Holder) bool { return h%2 == 1 }
	some := moved(t, w.d, odd)
	for _, h := range w.peers {
		if !odd(h) {
			w.d.Leave(h, 1<<30)
		}
	}
	for id := range want {
		got, want := some.Holders(id, nil), w.d.Holders(id, nil)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) || some.users[id].counts != w.d.users[id].counts {
			t.Errorf("user %d: held by %v, want %v", id, got, want)
		}
	}
	if some.Users() != w.d.Users() || some.Entries() != w.d.Entries() || some.Users() == len(want) {
		t.Errorf("%d users and %d entries, want %d and %d", some.Users(), some.Entries(), w.d.Users(), w.d.Entries())
	}
	checkInvariants(t, some)
}

func TestExportEnds(t *testing.T) {
	broken := errors.New("broken")
	if err := New().Export(all, func([]byte) error { return broken }); err != broken {
		t.Errorf("got %v, want %v", err, broken)
	}
	if d := moved(t, New(), all); d.Users() != 0 || d.Entries() != 0 {
		t.Errorf("an empty table has %d users after import", d.Users())
	}
}

func TestImportRefuses(t *testing.T) {
	const (
		peers = "\x00\x00\x00\x02" + "\x00\x00\x00\x00\x00\x00\x00\x05" + "\x00\x00\x00\x00\x00\x00\x00\x09"
		user  = "\x00\x00\x00\x02" + "\x00\x00\x00\x07" + "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
		both  = "\x00\x00\x00\x00\x00\x00\x00\x01"
		end   = "\x00\x00\x00\x00\x00\x00\x00\x01"
	)
	if d, err := imported([][]byte{[]byte(peers + user + both + end)}); err != nil || fmt.Sprint(d.Holders(7, nil)) != "[9 5]" {
		t.Fatalf("the table that the others are made from: %v", err)
	}
	for name, tt := range map[string]struct {
		chunks []string
		want   string
	}{
		"no chunk":         {nil, "read chunk 0 of the user table: unexpected EOF"},
		"empty":            {[]string{""}, "chunk 0 of the user table has 0 bytes"},
		"too long":         {[]string{peers, strings.Repeat("x", maxChunk+1)}, "chunk 1 of the user table has 524289 bytes"},
		"short":            {[]string{"\x00\x00"}, "byte 0: an item is cut off"},
		"peer cut":         {[]string{peers[:15]}, "byte 12: an item is cut off"},
		"user cut":         {[]string{peers, user[:20]}, "chunk 1 of the user table, byte 0: an item is cut off"},
		"holders cut":      {[]string{peers, user + both[:7]}, "byte 0: an item is cut off"},
		"end cut":          {[]string{peers, "\x00\x00\x00\x00"}, "byte 0: an item is cut off"},
		"many holders":     {[]string{peers, "\xff\xff\xff\xff" + user[4:] + both}, "an item is cut off"},
		"peer twice":       {[]string{peers[:12] + peers[4:12]}, "byte 12: the number of a peer is 0, or that of another peer"},
		"peer 0":           {[]string{peers[:4] + "\x00\x00\x00\x00\x00\x00\x00\x00"}, "byte 4: the number of a peer"},
		"unknown peer":     {[]string{peers, user + "\x00\x00\x00\x00\x00\x00\x00\x02"}, "byte 0: a user is held by a peer that is not there"},
		"peer out of all":  {[]string{peers, user + "\x00\x00\x00\x00\xff\xff\xff\xff"}, "byte 0: a user is held by a peer that is not there"},
		"same peer":        {[]string{peers, user + "\x00\x00\x00\x01\x00\x00\x00\x01"}, "byte 0: a user is held twice by the same peer"},
		"same peer, again": {[]string{peers, user + both, user + both}, "chunk 2 of the user table, byte 0: a user is held twice by the same peer"},
		"user twice":       {[]string{peers, user + both, user[:4] + "\x00\x00\x00\x08" + user[8:] + both, user + both, end[:7] + "\x03"}, "chunk 4 of the user table, byte 0: a user is there twice"},
		"other number":     {[]string{peers, user + both, end[:7] + "\x02"}, "chunk 2 of the user table, byte 0: the number of users differs"},
		"behind the end":   {[]string{peers, user + both, end + "x"}, "chunk 2 of the user table, byte 8: bytes follow the end"},
	} {
		t.Run(name, func(t *testing.T) {
			var chunks [][]byte
			for _, c := range tt.chunks {
				chunks = append(chunks, []byte(c))
			}
			if _, err := imported(chunks); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Whatever arrives is refused, or it is a table that keeps all invariants and can be
// exported again.
func FuzzImport(f *testing.F) {
	w := walk{t: &testing.T{}, r: rand.New(rand.NewPCG(1, 2)), d: New(), m: model{}, users: 5}
	for range 3 {
		w.connect()
	}
	for range 60 {
		w.step()
	}
	f.Add(bytes.Join(exported(f, w.d, all), nil), uint16(0))
	f.Add(bytes.Join(exported(f, w.d, all), nil), uint16(28))
	f.Fuzz(func(t *testing.T, table []byte, first uint16) {
		n := min(int(first), len(table))
		chunks := [][]byte{table[:n], table[n:]}
		if n == 0 {
			chunks = chunks[1:]
		}
		d, err := imported(chunks)
		if err != nil {
			return
		}
		checkInvariants(t, d)
		if again := moved(t, d, all); !maps.Equal(tableOf(again), tableOf(d)) {
			t.Errorf("%d users, exported and imported again: %d", d.Users(), again.Users())
		}
	})
}

func BenchmarkExport(b *testing.B) {
	d := full()
	b.Run("Export", func(b *testing.B) {
		for b.Loop() {
			d.Export(all, func([]byte) error { return nil })
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/(benchUsers/1e6), "s/million")
	})
	chunks := exported(b, d, all)
	b.Run("Import", func(b *testing.B) {
		for b.Loop() {
			imported(chunks)
		}
		b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/(benchUsers/1e6), "s/million")
	})
}

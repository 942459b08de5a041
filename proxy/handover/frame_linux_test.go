package handover

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"
)

// Any bytes that arrive in any pieces, with any descriptors, are either the frames that they
// spell or an error. No descriptor stays open that no frame has.
func FuzzReceive(f *testing.F) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		f.Fatal(err)
	}
	defer null.Close()
	hello := append(headOf(kindHello, 0, 2, 3), "{}abc"...)
	f.Add(hello, uint16(0), uint8(0))
	f.Add(append(headOf(kindSessions, 2, 0, 1), 'x'), uint16(0), uint8(2))
	f.Add(append(hello, headOf(kindListener, 1, 0, 0)...), uint16(len(hello)), uint8(1))
	f.Add(append(hello, headOf(kindListener, 1, 0, 0)...), uint16(len(hello)-1), uint8(1))
	f.Add(headOf(kindPresence, 0, 0, mostBody), uint16(4), uint8(200))
	f.Fuzz(func(t *testing.T, stream []byte, at uint16, descriptors uint8) {
		flat(t)
		from, to := pair(t)
		cut := min(int(at), len(stream))
		go func() {
			from.unix.Write(stream[:cut])
			if cut < len(stream) {
				all := make([]int, min(descriptors, 253))
				for i := range all {
					all[i] = int(null.Fd())
				}
				raw(from, stream[cut:], all...)
			}
			from.unix.CloseWrite()
		}()
		var spelt []byte
		for {
			got, err := to.receive()
			if err != nil {
				break
			}
			head, err := got.head()
			if err != nil {
				t.Error(err)
			}
			spelt = append(append(append(spelt, head...), got.header...), got.body...)
			closeAll(got.descriptors)
		}
		if !bytes.HasPrefix(stream, spelt) {
			t.Errorf("%x becomes %x", stream, spelt)
		}
	})
}

// A frame that claims the longest body costs what has arrived of it.
func TestMemoryGrowsWithWhatArrives(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if b, err := readExactly(strings.NewReader("a few bytes"), mostBody); err == nil {
		t.Errorf("read %d bytes", len(b))
	}
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 4*readStep {
		t.Errorf("a body that did not arrive cost %d bytes", after.TotalAlloc-before.TotalAlloc)
	}
}

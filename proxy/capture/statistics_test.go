package capture

import (
	"bytes"
	"io"
	"reflect"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/pdu/pdutest"
)

func TestStatistics(t *testing.T) {
	var b bytes.Buffer
	w, _ := NewWriter(&b, "a test")
	w.AddTenant(Tenant{Name: "a"})
	w.AddTenant(Tenant{Name: "b"})
	want := []Statistics{{PDUs: 10, Missed: 3}, {PDUs: 1, Ended: "somebody stopped it"}}
	w.Statistics(0, time.Now(), Statistics{PDUs: 5})
	w.Statistics(1, time.Now(), want[1])
	w.Statistics(0, time.Now(), want[0])
	r := NewReader(&b)
	if _, err := r.Next(); err != io.EOF {
		t.Fatal(err)
	}
	if got := []Statistics{r.Statistics(0), r.Statistics(1)}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A capture that was interrupted has PDUs behind its last statistics.
func TestStatisticsOfACutCapture(t *testing.T) {
	p := pdutest.Raw(pdu.CID_MSG_DATA, 1, nil)
	for _, counted := range []uint64{0, 5} {
		var b bytes.Buffer
		w, _ := NewWriter(&b, "a test")
		w.AddTenant(Tenant{Name: "a"})
		for i := range 6 {
			if uint64(i) == counted {
				w.Statistics(0, someTime, Statistics{PDUs: counted, Missed: 3})
			}
			w.Write(&Record{Time: someTime, PDU: p, Length: len(p)})
		}
		w.Write(&Record{Time: someTime, Known: true, PDU: p, Length: len(p)})
		w.Write(&Record{Time: someTime, Kind: Left})
		r := NewReader(&b)
		err := r.Copy(io.Discard)
		if want := (Statistics{PDUs: 6, Missed: 3}); err != nil || r.Statistics(0) != want {
			t.Errorf("statistics after %d PDUs: %+v, %v, want %+v", counted, r.Statistics(0), err, want)
		}
	}
}

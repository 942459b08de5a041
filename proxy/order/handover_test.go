package order

import (
	"testing"
	"time"
)

func TestContinueOutboxRefuses(t *testing.T) {
	for name, st := range map[string]OutboxState{
		"no header":       {Back: 1, Numbered: []ItemState{{Ages: []time.Duration{0}}}},
		"more pieces":     {Back: 1, Numbered: []ItemState{{Bytes: make([]byte, 100), Ages: make([]time.Duration, 2)}}},
		"fewer pieces":    {Back: 5, Numbered: []ItemState{{Bytes: make([]byte, 100), Ages: []time.Duration{0}}, {Bytes: make([]byte, 100)}}},
		"before number 1": {Back: 0, Numbered: []ItemState{{Bytes: make([]byte, 100)}}},
		"waiting":         {Back: 1, Waiting: []ItemState{{}}},
	} {
		if _, err := ContinueOutbox(time.Unix(1000, 0), st, 1<<20, 1<<20); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

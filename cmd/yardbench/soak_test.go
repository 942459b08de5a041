//go:build linux

package main

import (
	"strings"
	"testing"
)

// A soak passes if nothing grew by more than a tenth and its slack, whatever the peaks were.
func TestSamplesAreJudged(t *testing.T) {
	for name, c := range map[string]struct {
		of   func(i int) sample
		flat bool
	}{
		"steady":      {func(int) sample { return sample{100 << 20, 50, 60, 9} }, true},
		"peaks":       {func(i int) sample { return sample{100<<20 + int64(i%7/6)<<30, 50, 60, 9} }, true},
		"shrinks":     {func(i int) sample { return sample{int64(100-i) << 20, 50, 60, 9} }, true},
		"memory":      {func(i int) sample { return sample{int64(100+i) << 20, 50, 60, 9} }, false},
		"goroutines":  {func(i int) sample { return sample{100 << 20, int64(i), 60, 9} }, false},
		"descriptors": {func(i int) sample { return sample{100 << 20, 50, int64(i), 9} }, false},
		"threads":     {func(i int) sample { return sample{100 << 20, 50, 60, int64(i)} }, false},
	} {
		s := newSampler(0, "")
		for i := range 90 {
			s.samples = append(s.samples, c.of(i))
		}
		var out strings.Builder
		if flat, err := s.judge(&out); flat != c.flat || err != nil || strings.Contains(out.String(), "GREW") == flat {
			t.Errorf("%s: flat is %v, %v\n%s", name, flat, err, &out)
		}
	}
	if _, err := newSampler(0, "").judge(new(strings.Builder)); err == nil {
		t.Error("without samples, a soak passes")
	}
}

package server

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"switchyard/proxy/admin/api"
)

// A reload is marked if it changed something, was refused, or was asked for. Polling that finds
// nothing leaves no mark, and marks are bounded.
func TestMarkReload(t *testing.T) {
	srv := newServer(nil, nil)
	refused := errors.New("line 3: no such key")
	srv.markReload(nil, false)
	srv.markReload(nil, true)
	srv.noteChanges([]string{"log.level"}, []string{"admin.address"})
	srv.markReload(nil, false)
	srv.noteChanges(nil, []string{"admin.address"}) // it waits already
	srv.markReload(nil, false)
	srv.markReload(refused, false)
	srv.lastErrors["configuration"] = refused.Error()
	srv.markReload(refused, false)
	_, marks := srv.state.configured()
	var got []string
	for _, m := range marks {
		got = append(got, m.Kind+": "+m.Text)
	}
	want := []string{"start: the server started", "reload: reload; the configuration is unchanged", "reload: configuration reloaded: log.level, admin.address", "refused: configuration refused"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for n := range 2 * keptMarks {
		srv.noteChanges([]string{fmt.Sprint(n), "a", "b", "c", "d", "e"}, nil)
		srv.markReload(nil, false)
	}
	_, marks = srv.state.configured()
	last := marks[len(marks)-1]
	if len(marks) != keptMarks || last.Kind != api.MarkReload || last.Text != "configuration reloaded: 99, a, b, c, d, …" {
		t.Errorf("%d marks, the last is %+v", len(marks), last)
	}
}

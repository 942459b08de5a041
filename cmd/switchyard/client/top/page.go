package top

import (
	"fmt"
	"io"
	"strings"
	"time"

	"switchyard/cmd/switchyard/client/terminal"
	"switchyard/policy/sanitize"
)

// Print prints the report as tables of at most limit rows each. Control characters in the server's
// texts are escaped. It is what --once prints; page is the same for a terminal.
func (s *Report) Print(w io.Writer, limit int) error {
	lines := []string{sanitize.Text(s.summary())}
	if s.Draining {
		lines = append(lines, "draining: the server stops")
	}
	for _, c := range s.clusters() {
		lines = append(lines, sanitize.Text(c.text))
	}
	for _, section := range s.sections() {
		lines = append(append(lines, ""), section.first(limit)...)
	}
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// A view is what a page shows beside the report: what the user has chosen, and what is wrong.
type view struct {
	sort     Sort
	interval time.Duration
	err      error // why there is no newer report
}

// page lays a report out for a window of that many rows:
//
//	head                    1
//	cluster                 1 for each tenant that several hubs serve as one
//	empty, titles, rows     for each section, with as many rows as share gives it
//	empty                   up to the foot
//	foot                    1, always the window's last row
//
// A window that is too low for the titles loses lines above the foot, never the foot: it says why
// the page is old.
func page(s *Report, v view, rows int) []terminal.Line {
	head := terminal.Line{{Text: s.Time.Local().Format(time.TimeOnly) + "   "}, {Text: s.summary(), Style: terminal.Strong}}
	if s.Draining {
		head = append(terminal.Line{{Text: "DRAINING   ", Style: terminal.Alarm}}, head...)
	}
	lines := []terminal.Line{head}
	for _, c := range s.clusters() {
		style := terminal.Plain
		if c.alarm {
			style = terminal.Alarm
		}
		lines = append(lines, terminal.Line{{Text: c.text, Style: style}})
	}
	sections := s.sections()
	wants := make([]int, len(sections))
	for i, section := range sections {
		wants[i] = len(section.rows)
	}
	const foot = 1
	room := share(rows-len(lines)-foot-2*len(sections), wants) // each section has an empty line and its titles
	for i, section := range sections {
		lines = append(lines, nil)
		for n, text := range section.first(room[i]) {
			style := terminal.Plain
			switch {
			case n == 0:
				style = terminal.Strong
			case section.rows[n-1].alarm:
				style = terminal.Alarm
			}
			lines = append(lines, terminal.Line{{Text: text, Style: style}})
		}
	}
	for len(lines) < rows-1 {
		lines = append(lines, nil)
	}
	lines = lines[:max(0, min(len(lines), rows-1))]
	return append(lines, v.foot())
}

// foot returns the last line: the keys, or what is wrong.
func (v view) foot() terminal.Line {
	if v.err != nil {
		return terminal.Line{{Text: v.err.Error(), Style: terminal.Alarm}}
	}
	line := terminal.Line{{Text: fmt.Sprintf("q quit   every %v   sorted by ", v.interval), Style: terminal.Faint}}
	for i, by := range Sorts {
		text := string(by[:1]) + ": " + string(by)
		style := terminal.Faint
		if by == v.sort {
			text, style = "["+text+"]", terminal.Strong
		}
		if i > 0 {
			text = "  " + text
		}
		line = append(line, terminal.Span{Text: text, Style: style})
	}
	return line
}

// share divides rows among sections that want some: each gets what it wants up to an equal
// part. The last sections get what the others leave. Of 30 rows for 2 tenants, 9 commands and 1204
// peers, the tenants get 2, the commands 9 and the peers 19.
func share(rows int, wants []int) []int {
	rows = max(rows, 0)
	got := make([]int, len(wants))
	left := rows
	for i, want := range wants {
		got[i] = min(want, rows/len(wants))
		left -= got[i]
	}
	for i := len(wants) - 1; i >= 0; i-- {
		more := min(left, wants[i]-got[i])
		got[i] += more
		left -= more
	}
	return got
}

package top

import (
	"fmt"
	"strings"
	"time"

	"switchyard/cmd/switchyard/client/terminal"
	"switchyard/policy/sanitize"
)

// maxCell is the largest width of a cell, in columns of the terminal. Names in certificates can be
// very long; a client must not be able to push the other columns off the screen with one.
const maxCell = 40

// A column of a table holds numbers, which are aligned right, or words.
type column struct {
	title  string
	number bool
	least  int // width, so that the columns beside it do not move with each digit
}

// A row is the cells of one line.
type row struct {
	cells []string
	alarm bool
}

// table formats rows below the titles of their columns. The first line is the titles. Widths are
// counted in columns of the terminal, as a character may take none or two:
//
//	PEER               SESSION    LAG   IN/S  STATE
//	192.0.2.7:51900          4    0B     250  master
func table(columns []column, rows []row) []string {
	widths := make([]int, len(columns))
	cells := [][]string{make([]string, len(columns))}
	for i, c := range columns {
		cells[0][i] = c.title
		widths[i] = c.least
	}
	for _, r := range rows {
		line := make([]string, len(columns))
		for i, cell := range r.cells {
			line[i] = terminal.Shorten(sanitize.Text(cell), maxCell)
		}
		cells = append(cells, line)
	}
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], terminal.Width(cell))
		}
	}
	lines := make([]string, len(cells))
	for n, line := range cells {
		var b strings.Builder
		for i, cell := range line {
			room := strings.Repeat(" ", widths[i]-terminal.Width(cell))
			if columns[i].number {
				b.WriteString(room + cell + "  ")
			} else {
				b.WriteString(cell + room + "  ")
			}
		}
		lines[n] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

// whole formats a whole number in at most six columns.
func whole(n uint64) string {
	if n < 10 {
		return fmt.Sprint(n)
	}
	return Count(float64(n))
}

// Count formats a number, such as a rate, in at most six columns: 0, 0.3, 12, 9999, 10.0k. What is
// not zero has a decimal below ten, so that a low rate does not look like none.
func Count(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 9.95:
		return fmt.Sprintf("%.1f", n)
	case n < 9999.5:
		return fmt.Sprintf("%.0f", n)
	}
	return scaled(n, 1000, "k", "M", "G", "T", "P", "E")
}

// Bytes formats a size in at most eight columns: 512B, 1.5KiB, 99.0MiB. Its units are those of limits
// in the configuration, and so powers of 1024.
func Bytes(n float64) string {
	if n < 1023.5 {
		return fmt.Sprintf("%.0fB", n)
	}
	return scaled(n, 1024, "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
}

// scaled formats a number with a unit and three or four digits: 12.3k, 402k, 99.0MiB. The limits are
// those at which rounding would give one digit more, so that no cell grows.
func scaled(n, step float64, units ...string) string {
	i := 0
	for n /= step; n >= step-0.5 && i < len(units)-1; i++ {
		n /= step
	}
	if n < 99.95 {
		return fmt.Sprintf("%.1f%s", n, units[i])
	}
	return fmt.Sprintf("%.0f%s", n, units[i])
}

// since formats a time in seconds: 3d4h, 4h5m, 5m6s, 6s. Two units are exact enough to see whether a
// server was restarted today.
func since(seconds float64) string {
	d := time.Duration(max(0, min(seconds, 1e9))) * time.Second
	days, hours, minutes := int(d.Hours())/24, int(d.Hours())%24, int(d.Minutes())%60
	switch {
	case days > 0:
		return fmt.Sprintf("%dd%dh", days, hours)
	case hours > 0:
		return fmt.Sprintf("%dh%dm", hours, minutes)
	case minutes > 0:
		return fmt.Sprintf("%dm%ds", minutes, int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	}
}

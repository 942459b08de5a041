package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"switchyard/policy/sanitize"
)

// What commands print. A result goes to standard output, for people or with --json for programs, and
// always in a form that a terminal does not obey:
//
//	show ─▶ printJSON                      --json
//	     └▶ printPeers, … ─▶ columns       rows of aligned cells

// An output is the standard output of a command. It keeps the first error, so that a command whose
// result is lost fails. It keeps no error of a closed pipe, as the reader of the pipe has what it wanted.
// Commands that return that error still fail. Goroutines may share an output.
type output struct {
	w io.Writer

	mu  sync.Mutex // guards what follows; held during a write
	err error
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.w.Write(p)
	if o.err == nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, io.ErrClosedPipe) {
		o.err = err
	}
	return n, err
}

// fault returns the first error of a write.
func (o *output) fault() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// screen returns the file that w writes to, which may be a terminal. It returns false if w writes to
// something else.
func screen(w io.Writer) (*os.File, bool) {
	if o, ok := w.(*output); ok {
		w = o.w
	}
	f, ok := w.(*os.File)
	return f, ok
}

// jsonFlag adds --json.
func jsonFlag(c *cobra.Command, asJSON *bool, usage string) {
	c.Flags().BoolVar(asJSON, "json", false, usage)
}

// show prints a result: as JSON, or for people by print.
func show[T any](w io.Writer, asJSON bool, result T, print func(io.Writer, T) error) error {
	if asJSON {
		return printJSON(w, result)
	}
	return print(w, result)
}

// printJSON prints v for programs. It also escapes what a terminal would obey, as people
// read the output there.
func printJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, sanitize.Lines(b.String()))
	return err
}

// columns prints rows of aligned cells. It escapes what a terminal would obey, as cells may hold text
// from peers or from a file of unknown origin. The first row of most tables is a head in capitals. A
// row may have fewer cells than others.
func columns(w io.Writer, rows [][]string) error {
	var aligned, b strings.Builder
	t := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', 0)
	for _, cells := range rows {
		for i, cell := range cells {
			if i > 0 {
				io.WriteString(t, "\t")
			}
			io.WriteString(t, sanitize.Text(cell))
		}
		io.WriteString(t, "\n")
	}
	t.Flush()
	for line := range strings.Lines(aligned.String()) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n") // an empty last cell leaves spaces
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

// quantity formats a number with its noun, in the plural unless it is 1: "1 peer", "0 peers".
func quantity(n uint64, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// size spells bytes with three digits, in decimal units: 999 B, 1.5 kB, 64.2 MB.
func size(bytes uint64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	f := float64(bytes)
	units := []string{"kB", "MB", "GB", "TB"}
	for f /= 1000; f >= 999.5 && len(units) > 1; f /= 1000 {
		units = units[1:]
	}
	return fmt.Sprintf("%.3g %s", f, units[0])
}

// seconds returns a time that JSON has in seconds.
func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

package history

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Each line has the SHA-256 of the line before it, so that the last sum stands for all lines:
//
//	{"n":1,"prev":"",     "kind":"initial", …}   SHA-256 of this line: 5b1e…
//	{"n":2,"prev":"5b1e…","kind":"at-once", …}                         c07a…
//	{"n":3,"prev":"c07a…","kind":"kill", …}                            e294…  ◀─ head.json
//
// An attacker who changes line 1 must recompute all later sums and replace head.json as well. If
// head.json is signed, that requires the key. The file after a full one continues its chain.
// After damage a new chain begins, with numbers above all that were ever used.

// A tip is the end of a chain.
type tip struct {
	number uint64 // number of its last entry; 0 before the first
	sum    string // SHA-256 of its last line
}

// A Fault is the first line of a file that does not continue the chain.
type Fault struct {
	File    string
	Line    int // counted from 1
	Problem string
	Torn    bool // the line has no end: its write was interrupted, so it was never reported as written
}

func (f *Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Problem) }

// next reads one line, which must continue the chain. It advances t only if the line is valid.
// first is true for the first line of a file, where Broken may begin another chain.
func (t *tip) next(line []byte, first bool) (*Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, errors.New("it is not an entry in JSON")
	}
	switch {
	case first && e.Kind == Broken:
		if e.Prev != "" || e.Number <= t.number {
			return nil, fmt.Errorf("it begins a chain, but its number is %d and its prev %.16q", e.Number, e.Prev)
		}
	case e.Prev != t.sum:
		return nil, fmt.Errorf("its prev is %.16q, and the SHA-256 of the line before begins with %.16q", e.Prev, t.sum)
	case e.Number != t.number+1:
		return nil, fmt.Errorf("its number is %d and not %d", e.Number, t.number+1)
	}
	t.number, t.sum = e.Number, Sum(line)
	return &e, nil
}

// A scan is the result of reading a file of the history.
type scan struct {
	size  int64 // size of the valid lines
	lines int   // number of valid lines
	bad   int   // number of invalid lines
	sum   string
	fault *Fault // nil if all lines are valid
}

// read reads a file, or the rest of one. Its lines must continue the chain of t. read advances t
// and calls visit for each valid line. It reads the whole file, even after a fault. The error is
// a read error.
func read(r io.Reader, name string, before int, t *tip, visit func(*Entry)) (scan, error) {
	all := sha256.New()
	lines := bufio.NewReaderSize(io.TeeReader(r, all), 64<<10)
	s := scan{lines: before}
	for {
		line, err := readLine(lines)
		if err == io.EOF && len(line) == 0 {
			s.sum = sumOf(all)
			return s, nil
		}
		if err != nil && err != io.EOF && !errors.Is(err, errLong) {
			return s, err
		}
		if s.fault != nil {
			s.bad++
			continue
		}
		e, problem := (*Entry)(nil), err
		switch {
		case err == io.EOF:
			problem = errors.New("it has no end: its write was interrupted")
		case err == nil:
			e, problem = t.next(line, s.lines == 0)
		}
		if problem != nil {
			s.fault = &Fault{File: name, Line: s.lines + 1, Problem: problem.Error(), Torn: err == io.EOF}
			s.bad = 1
			continue
		}
		s.lines++
		s.size += int64(len(line)) + 1
		visit(e)
	}
}

func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// errLong is the error for a line that is longer than any entry.
var errLong = fmt.Errorf("it is longer than %d bytes", maxLine)

// readLine returns a line without its line end. io.EOF means that the line end is missing, and
// errLong that the line was skipped. A damaged line may be as long as the file, so at most
// maxLine bytes of it are kept.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; !long {
			line = append(line, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
		case long && (err == nil || err == io.EOF):
			return nil, errLong
		case err == nil:
			return line[:len(line)-1], nil
		default:
			return line, err
		}
	}
}

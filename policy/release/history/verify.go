package history

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"switchyard/policy/provenance"
)

// What Verify notices, and by what:
//
//	a line was changed, removed or inserted   prev or n of the line after it
//	the last line was changed                 head.json
//	lines at the end were removed             head.json
//	a file before was changed or replaced     its SHA-256 in the first line of the next file
//	a receipt was changed                     the chain; with keys also its signature
//	everything was rewritten                  with keys head.json and receipts; otherwise only the number
//	                                          and the sum of the last line, if they are kept elsewhere

// A Report is the result of Verify.
type Report struct {
	Files   []string // the oldest first
	Entries int      // number of valid entries
	Number  uint64   // of the last entry
	Sum     string   // of its line
	Signed  bool     // head.json is signed by one of the keys, and so is every receipt
	Notes   []string // observations that are not faults but limit what the result proves
	Fault   *Fault   // the first invalid line; nil if all are valid
}

// Verify reads the whole history in a folder and calls visit for each valid entry. It needs no
// server and may run beside one. If keys are given, receipts and head.json must be signed by one
// of them. The error is a read error.
func Verify(folder string, keys []provenance.Key, visit func(*Entry)) (*Report, error) {
	names, err := putAside(folder)
	if err != nil {
		return nil, err
	}
	// head.json is read first, because a server may write meanwhile; the chain may then be
	// longer than head.json says.
	at, signed, headErr := readHead(filepath.Join(folder, headFile), keys)
	v := &verifier{folder: folder, keys: keys, visit: visit, head: at}
	for _, name := range append(names, fileName) {
		err := v.file(name)
		if errors.Is(err, fs.ErrNotExist) && name == fileName && (len(names) > 0 || headErr == nil) {
			break // the file was put aside before a crash, or was removed; checkHead tells which
		}
		if err != nil {
			return nil, err
		}
	}
	v.checkHead(headErr)
	v.Signed = signed && len(keys) > 0 && v.Fault == nil
	v.Number, v.Sum = v.tip.number, v.tip.sum
	return &v.Report, nil
}

// A verifier verifies the files one after the other, the oldest first. It continues behind a fault, to
// count the valid entries; a file after a damaged one begins a chain of its own.
type verifier struct {
	Report
	folder string
	keys   []provenance.Key
	visit  func(*Entry)
	tip    tip
	head   head
	known  bool  // the entry that head.json names was read and matches
	before *scan // the file before
}

// file verifies one file. A last line without an end is not a fault: its writer has never been told that
// it was written.
func (v *verifier) file(name string) error {
	f, err := os.Open(filepath.Join(v.folder, name))
	if err != nil {
		return err
	}
	defer f.Close()
	v.Files = append(v.Files, name)
	before, first, line := v.before, true, 0
	s, err := read(f, name, 0, &v.tip, func(e *Entry) {
		line++
		switch {
		case first && before != nil:
			v.checkFile(name, e, before)
		case first && e.Kind == Broken && e.File != nil:
			v.Notes = append(v.Notes, fmt.Sprintf("%s:1: the history before is not in the folder; it was damaged: %s", name, e.File.Reason))
		}
		first = false
		v.entry(name, line, e)
	})
	if err != nil {
		return err
	}
	v.Entries += s.lines
	if s.fault != nil && s.fault.Torn {
		v.Notes = append(v.Notes, fmt.Sprintf("%s:%d: the write of this line was interrupted; it never counted", name, s.fault.Line))
	} else if s.fault != nil {
		v.fail(s.fault)
	}
	v.before = &s
	return nil
}

// fail keeps the first fault.
func (v *verifier) fail(f *Fault) {
	if v.Fault == nil {
		v.Fault = f
	}
}

// checkFile checks the first entry of a file against the previous file.
func (v *verifier) checkFile(name string, e *Entry, before *scan) {
	switch {
	case e.File == nil || e.Kind != Head && e.Kind != Broken:
		v.fail(&Fault{File: name, Line: 1, Problem: "it names no file before it, and there is one"})
	case e.File.SHA256 != before.sum:
		v.fail(&Fault{File: name, Line: 1, Problem: fmt.Sprintf("the file before has another SHA-256, %s", before.sum)})
	case e.Kind == Broken && (before.fault == nil || before.fault.Torn && e.File.Reason != before.fault.Problem):
		v.fail(&Fault{File: name, Line: 1, Problem: "it says that the file before was damaged, as its end was missing or changed: " + e.File.Reason})
	}
}

// entry checks what the chain does not cover.
func (v *verifier) entry(name string, line int, e *Entry) {
	if v.tip.number == v.head.Number && v.tip.sum == v.head.SHA256 {
		v.known = true
	}
	if e.Receipt != nil {
		_, signers, err := ReadReceipt(e.Receipt, v.keys)
		switch {
		case err != nil:
			v.fail(&Fault{File: name, Line: line, Problem: err.Error()})
		case len(v.keys) > 0 && len(signers) == 0:
			v.fail(&Fault{File: name, Line: line, Problem: "its receipt is not signed"})
		}
	}
	v.visit(e)
}

// checkHead compares the end of the chain with head.json.
func (v *verifier) checkHead(err error) {
	end := &Fault{File: fileName, Line: 1}
	if v.before != nil {
		end.Line = v.before.lines + 1
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.Notes = append(v.Notes, "there is no "+headFile+": entries that were removed at the end would not be noticed")
		return
	case err != nil:
		end.Problem = err.Error()
	case v.head.Number > v.tip.number:
		end.Problem = fmt.Sprintf("the chain ends with entry %d, and %s knows entry %d", v.tip.number, headFile, v.head.Number)
	case !v.known && v.Fault == nil:
		end.Line--
		end.Problem = fmt.Sprintf("entry %d is not the one that %s knows", v.head.Number, headFile)
	default:
		return
	}
	v.fail(end)
}

// sumOfFile returns the SHA-256 of a file in hex.
func sumOfFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return sumOf(h), err
}

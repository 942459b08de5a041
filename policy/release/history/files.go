package history

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"switchyard/policy/provenance"
	"switchyard/policy/statefolder"
)

const (
	// headFile is the file with the number and sum of the last line.
	headFile = "head.json"
	// headType is the payload type of a signed headFile.
	headType = "application/vnd.switchyard.history-head.v1+json"
	// maxHead is the largest size of headFile that is read, in bytes.
	maxHead = 64 << 10
)

func (h *History) path(name string) string { return filepath.Join(h.folder, name) }

// catchUp reads what was written since the last call; the first call reads everything. It puts a
// damaged file aside. The caller must have locked the folder.
//
//	history.jsonl is          this process
//	missing                   begins it: the first one, or after one that was put aside
//	the one it knows, longer  reads on from where it stopped
//	another one, or shorter   reads all of it
//
// Normal operation never shortens the file (append only removes its own incomplete line), so a
// shorter file was replaced or truncated. If that damaged it, what this process has read and written
// before remains in effect.
func (h *History) catchUp() error {
	before := known{h.tip, h.saved, h.recent}
	info, err := os.Stat(h.path(fileName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return h.begin()
	case err != nil:
		return err
	case h.file == nil || !os.SameFile(info, h.file) || info.Size() < h.size:
		h.forget()
	}
	s, last, err := h.readOn(fileName)
	if err != nil {
		return err
	}
	h.file = info
	h.finish(&s, last)
	if s.fault == nil {
		return nil
	}
	h.keepKnown(before)
	return h.putAside(s)
}

// A known is what a process has read and written.
type known struct {
	tip    tip
	saved  State
	recent []*Entry
}

// forget makes the next call of readOn read a whole file.
func (h *History) forget() {
	h.tip, h.lines, h.size, h.file, h.saved, h.recent = tip{}, 0, 0, nil, make(State), nil
}

// keepKnown makes what was known before remain in effect if the valid lines end before it.
func (h *History) keepKnown(before known) {
	if before.tip.number > h.tip.number {
		h.tip, h.saved, h.recent = before.tip, before.saved, before.recent
	}
}

// finish compares the end of a file that was read with head.json, and applies the last entry unless
// that was changed. A line without an end is harmless only if head.json does not know its entry.
func (h *History) finish(s *scan, last *Entry) {
	if s.fault == nil || s.fault.Torn {
		if end := h.checkHead(*s); end != nil {
			s.fault = end
		}
	}
	if last != nil && (s.fault == nil || s.fault.Line > s.lines) {
		h.remember(last)
	}
}

// readOn reads a file from where the last call ended. It returns the last entry without
// applying it, because head.json may show that it was changed.
func (h *History) readOn(name string) (s scan, last *Entry, err error) {
	f, err := os.Open(h.path(name))
	if err != nil {
		return scan{}, nil, err
	}
	defer f.Close()
	if h.lines == 0 {
		if h.tip, err = tipBefore(f); err != nil {
			return scan{}, nil, err
		}
	}
	if _, err := f.Seek(h.size, io.SeekStart); err != nil {
		return scan{}, nil, err
	}
	s, err = read(f, name, h.lines, &h.tip, func(e *Entry) {
		if last != nil {
			h.remember(last)
		}
		last = e
	})
	h.lines, h.size = s.lines, h.size+s.size
	return s, last, err
}

// tipBefore returns the end of the chain that a file claims to continue; Verify compares it
// with the previous file.
func tipBefore(f *os.File) (tip, error) {
	var none tip
	s, err := read(io.LimitReader(f, maxLine), "", 0, &none, func(*Entry) {})
	if err != nil || s.lines > 0 {
		return tip{}, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return tip{}, err
	}
	var e Entry
	if json.NewDecoder(f).Decode(&e) != nil || e.Kind != Head || e.Number == 0 {
		return tip{}, nil // the first line is invalid; reading it reports the fault
	}
	return tip{e.Number - 1, e.Prev}, nil
}

// A head is the content of head.json.
type head struct {
	Number uint64 `json:"n"`
	SHA256 string `json:"sha256"`
}

// checkHead compares the end of the chain with head.json, to detect that the end is missing or the
// last line was changed. An unreadable head.json proves nothing.
func (h *History) checkHead(s scan) *Fault {
	at, _, err := readHead(h.path(headFile), h.keys())
	switch {
	case err != nil:
		return nil
	case at.Number > h.tip.number:
		return &Fault{File: fileName, Line: s.lines + 1, Problem: fmt.Sprintf("the chain ends with entry %d, and %s knows entry %d", h.tip.number, headFile, at.Number)}
	case at.Number == h.tip.number && at.SHA256 != h.tip.sum:
		return &Fault{File: fileName, Line: s.lines, Problem: fmt.Sprintf("entry %d is not the one that %s knows", at.Number, headFile)}
	}
	return nil
}

func (h *History) keys() []provenance.Key {
	if h.signer == nil {
		return nil
	}
	return []provenance.Key{h.signer.Key()}
}

// readHead reads head.json. signed is true if one of the keys has signed it.
func readHead(path string, keys []provenance.Key) (at head, signed bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return head{}, false, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHead))
	if err != nil {
		return head{}, false, err
	}
	if e, parsed := provenance.ParseEnvelopeOf(headType, text); parsed == nil {
		text = e.Payload
		if len(keys) > 0 {
			if _, err := e.Verify(keys); err != nil {
				return head{}, false, fmt.Errorf("%s: %w", headFile, err)
			}
			signed = true
		}
	}
	if err := json.Unmarshal(text, &at); err != nil || at.SHA256 == "" {
		return head{}, false, fmt.Errorf("%s is damaged", headFile)
	}
	return at, signed, nil
}

// writeHead writes head.json for the present end of the chain.
func (h *History) writeHead() error {
	text, err := json.Marshal(head{h.tip.number, h.tip.sum})
	if err == nil && h.signer != nil {
		text, err = envelope(h.signer, headType, text)
	}
	if err != nil {
		return err
	}
	return statefolder.Replace(h.path(headFile), append(text, '\n'))
}

// begin begins the first file, or the one after a file that was put aside before a crash. If a
// file was removed, the entries that this process has read from it remain in effect.
func (h *History) begin() error {
	names, err := putAside(h.folder)
	if err != nil {
		return err
	}
	before := known{h.tip, h.saved, h.recent}
	h.forget()
	var name string
	var s scan
	var last *Entry
	if len(names) > 0 {
		name = names[len(names)-1]
		if s, last, err = h.readOn(name); err != nil {
			return err
		}
		h.lines, h.size = 0, 0
	}
	h.finish(&s, last)
	isRemoved := before.tip.number > h.tip.number+uint64(s.bad)
	h.keepKnown(before)
	switch {
	case isRemoved:
		return h.breakOff(fileName, scan{fault: &Fault{Line: 1, Problem: fmt.Sprintf("it was removed; entry %d was its last", before.tip.number)}})
	case s.fault != nil:
		return h.breakOff(cmp.Or(name, fileName), s)
	case name != "":
		return h.write(&Entry{Kind: Head, File: &File{Name: name, SHA256: s.sum}, State: h.saved.clone()})
	}
	return nil // the history is still empty
}

// putAside lists the files before history.jsonl, the oldest first.
func putAside(folder string) ([]string, error) {
	names, err := filepath.Glob(filepath.Join(folder, "history-*.jsonl"))
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	slices.Sort(names)
	return names, err
}

// putAside renames history.jsonl, which is damaged, and begins a new chain.
func (h *History) putAside(s scan) error {
	name, sum, err := h.rename()
	if err != nil {
		return err
	}
	s.sum = sum
	return h.breakOff(name, s)
}

// rename puts history.jsonl aside, and returns its new name and the sum of all of it.
func (h *History) rename() (name, sum string, err error) {
	names, err := putAside(h.folder)
	if err != nil {
		return "", "", err
	}
	number := 0
	if len(names) > 0 {
		fmt.Sscanf(names[len(names)-1], "history-%d.jsonl", &number)
	}
	name = fmt.Sprintf("history-%06d.jsonl", number+1)
	if sum, err = sumOfFile(h.path(fileName)); err != nil {
		return "", "", err
	}
	h.crash()
	if err := os.Rename(h.path(fileName), h.path(name)); err != nil {
		return "", "", err
	}
	h.lines, h.size, h.file = 0, 0, nil
	return name, sum, statefolder.Sync(h.folder)
}

// breakOff begins a new chain after a damaged file. The chain starts from the state before the
// damage. Its numbers start above those of the damaged lines, so that no two entries share a
// number. For example, if entry 40 is the last valid one, three lines follow, and head.json
// names entry 42, then Broken is entry 44.
func (h *History) breakOff(name string, s scan) error {
	s.fault.File = name
	h.damaged = s.fault
	number := h.tip.number + uint64(s.bad)
	if at, _, err := readHead(h.path(headFile), nil); err == nil {
		number = max(number, at.Number)
	}
	h.tip = tip{number: number}
	return h.write(&Entry{Kind: Broken, State: h.saved.clone(),
		File: &File{Name: name, SHA256: s.sum, Line: s.fault.Line, Reason: s.fault.Problem}})
}

// The steps of writing an entry. A crash between two of them leaves what the package comment lists:
//
//	rename             if the file is full: history.jsonl becomes history-000002.jsonl
//	write Head         the first line of the new file, with the sum of the one before
//	put                files of the policies that are not there yet
//	write              the line of the entry
//	writeHead, prune   once for all entries that waited (writer.go)

// save writes an entry, into a new file if the present one is full, and returns it as written. The
// files of its policies are written first, so that an entry never refers to a missing file. Without a
// folder, the entry is added to the chain in memory.
func (h *History) save(e Entry) (Entry, error) {
	blobs := e.blobs
	if h.folder == "" {
		line, err := h.seal(&e)
		if err == nil {
			h.tip = tip{e.Number, Sum(line)}
			h.remember(&e)
			h.keepInMemory(blobs)
		}
		return e, err
	}
	if h.size >= h.maxFile {
		name, sum, err := h.rename()
		if err != nil {
			return e, err
		}
		if err := h.write(&Entry{Kind: Head, File: &File{Name: name, SHA256: sum}, State: h.saved.clone()}); err != nil {
			return e, err
		}
	}
	for _, blob := range blobs {
		if err := h.put(blob); err != nil {
			return e, err
		}
	}
	err := h.write(&e)
	return e, err
}

// write appends an entry to history.jsonl.
func (h *History) write(e *Entry) error {
	if e.Time.IsZero() {
		e.Time = now()
	}
	line, err := h.seal(e)
	if err != nil {
		return err
	}
	h.crash()
	if err := h.append(append(line, '\n')); err != nil {
		return err
	}
	h.lines, h.size = h.lines+1, h.size+int64(len(line))+1
	h.tip = tip{e.Number, Sum(line)}
	h.remember(e)
	return nil
}

// append writes a line durably: it is on the disk when append returns. If the write fails,
// append removes the incomplete line.
func (h *History) append(line []byte) error {
	f, err := os.OpenFile(h.path(fileName), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(line)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(h.size))
	}
	if h.file, err = f.Stat(); err != nil || h.size > 0 {
		return err
	}
	return statefolder.Sync(h.folder) // the file is new
}

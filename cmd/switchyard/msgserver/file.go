// Package msgserver finds what is wrong in the msgserver.conf files of a fleet. It reads them as
// msg_server does, opens no connection and looks up no name.
//
//	Read    file.go      lines, as msg_server's parser sees them ─▶ settings
//	        servers.go   settings ─▶ the list of route servers, and what was meant for it
//	Check   fleet.go     the files against each other, and against the configuration of a hub
//
// A msg_server says nothing about what it ignores, and a fleet in which one of them has another list
// works until somebody misses a message. So whatever may not be meant is a finding, with a remedy.
package msgserver

import (
	"bytes"
	"fmt"
	"strings"
)

// A File is a msgserver.conf as msg_server reads it.
type File struct {
	Name    string
	Servers []Server // the route servers that msg_server connects to, in its order

	cut       bool               // settings behind the end of the list are not read
	all       []setting          // in the order of their lines
	effective map[string]setting // of each key the first one, which msg_server takes
	findings  []Finding
}

// A Finding is something that is wrong, or that may not be meant.
type Finding struct {
	File    string `json:"file"`
	Line    int    `json:"line"` // from 1; 0 for the whole file
	Warning bool   `json:"warning"`
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`
}

// String returns place, problem and remedy.
func (f Finding) String() string {
	place := f.File
	if f.Line > 0 {
		place = fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return fmt.Sprintf("%s: %s; %s", place, f.Problem, f.Remedy)
}

// A setting is a line of the file that has a key and a value.
type setting struct {
	key, value string
	line       int
}

// bytesAtOnce is the most that msg_server reads as one line, the line feed included (_LoadFile in
// the original's base/ConfigFileReader.cpp). It reads the rest as another line.
const bytesAtOnce = 255

const byteOrderMark = "\xef\xbb\xbf"

// Read reads the text of the file of that name. It never fails: what msg_server does not
// understand, it ignores.
func Read(name string, text []byte) *File {
	f := &File{Name: name, effective: make(map[string]setting)}
	if bytes.IndexByte(text, 0) >= 0 {
		f.fault(0, "the file has zero bytes, as in UTF-16, at which msg_server ends a line", "save it as UTF-8 without a byte order mark")
		return f
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		f.readLine(line, number)
	}
	f.checkText()
	f.readServers()
	return f
}

// readLine reads a line in the pieces in which msg_server does.
func (f *File) readLine(line []byte, number int) {
	first, rest := line[:min(len(line), bytesAtOnce)], line[min(len(line), bytesAtOnce):]
	comment := bytes.IndexByte(first, '#') >= 0
	if rest := bytes.TrimSpace(rest); len(rest) > 0 && (!comment || bytes.IndexByte(rest, '=') >= 0) {
		f.fault(number, fmt.Sprintf("the line is longer than %d bytes, and msg_server reads the rest as a line of its own", bytesAtOnce), "shorten it")
	}
	f.readPiece(first, number)
	for len(rest) > 0 {
		n := min(len(rest), bytesAtOnce)
		f.readPiece(rest[:n], number)
		rest = rest[n:]
	}
}

// readPiece does what msg_server does with a line: '#' begins a comment anywhere, only spaces and
// tabs are trimmed, a key without a value is not a key, and the first of two equal keys counts.
func (f *File) readPiece(piece []byte, line int) {
	text, _, _ := strings.Cut(strings.TrimSuffix(string(piece), "\n"), "#")
	key, value, ok := strings.Cut(text, "=")
	key, value = strings.Trim(key, " \t"), strings.Trim(value, " \t")
	if !ok || key == "" || value == "" {
		return
	}
	s := setting{key, value, line}
	f.all = append(f.all, s)
	if before, twice := f.effective[key]; twice {
		f.fault(line, fmt.Sprintf("%s is set in line %d already, and msg_server takes the first", key, before.line), "remove one of the two")
		return
	}
	f.effective[key] = s
}

// checkText looks for what editors of other systems do to keys and values. One finding for each kind
// is enough: it is in every line.
func (f *File) checkText() {
	if len(f.all) == 0 {
		return
	}
	if key, marked := strings.CutPrefix(f.all[0].key, byteOrderMark); marked {
		f.fault(f.all[0].line, fmt.Sprintf("a byte order mark precedes %s, so msg_server does not find that key", key), "save the file as UTF-8 without a byte order mark")
	}
	for _, s := range f.all {
		if strings.HasSuffix(s.value, "\r") {
			f.fault(s.line, fmt.Sprintf("the line ends with CR and LF, and msg_server keeps the CR in the value of %s, as in all such lines", s.key), `remove it, for example by sed -i 's/\r$//'`)
			return
		}
	}
}

// fault adds a finding that is not a warning. A msg_server would not do what the file means.
func (f *File) fault(line int, problem, remedy string) {
	f.findings = append(f.findings, Finding{File: f.Name, Line: line, Problem: problem, Remedy: remedy})
}

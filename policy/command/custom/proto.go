package custom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/reflect/protoreflect"

	"switchyard/policy/sanitize"
	"switchyard/policy/stablefile"
)

// Bounds of a .proto file and what it imports.
const (
	maxFiles  = 64
	maxSource = 1 << 20 // bytes of all files together
	maxFaults = 20
	// maxNesting is how deep brackets may nest. Each level costs the compiler 10 KiB.
	maxNesting = 100
	// maxOneofSteps bounds what oneofs cost the compiler: some 12 ns for a step, see oneofSteps.
	maxOneofSteps = 10_000_000
	// maxWhat is how many bytes of a fault are shown. It may contain a name as long as the file.
	maxWhat = 300
)

// builtIn begins the names of files that the compiler has.
const builtIn = "google/protobuf/"

// stable is how long a file must stay unchanged to be read.
const stable = 50 * time.Millisecond

// Messages are the messages of a .proto file and of those that it imports.
type Messages struct {
	file     string
	messages map[string]protoreflect.MessageDescriptor // by full name
	content  map[string][]byte                         // of the files, by their paths from the folder
}

// A Fault is something wrong with a .proto file.
type Fault struct {
	File   string // as ReadProto was given it, or one beside it
	Line   int    // from 1; 0 if it is not about a line
	What   string
	Remedy string
}

// Error implements error.
func (f Fault) Error() string { return f.What + "; " + f.Remedy }

// ReadProto reads a .proto file. What it imports is found from the file's folder, and must be in it or
// below it; the files of google/protobuf are built in. files are all files that it tried to read,
// also if there are faults, so that a change of them is noticed.
func ReadProto(path string) (m *Messages, files []string, faults []Fault) {
	r := &protoReader{folder: filepath.Dir(path), content: make(map[string][]byte)}
	name := filepath.Base(path)
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: r.open}),
		Reporter: reporter.NewReporter(r.report, nil),
	}
	compiled, err := compiler.Compile(context.Background(), name)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && len(r.faults) == 0 {
		r.faults = append(r.faults, r.fault(err))
	}
	if len(r.faults) > 0 {
		return nil, r.opened(), slices.Clone(r.faults)
	}
	m = &Messages{file: path, messages: make(map[string]protoreflect.MessageDescriptor), content: r.content}
	for _, f := range compiled {
		m.addFile(f, make(map[string]bool))
	}
	return m, r.opened(), nil
}

// A protoReader opens the files of one compilation. The compiler calls open and report from several
// goroutines, and after a fault perhaps still when it has returned.
type protoReader struct {
	folder string

	mu      sync.Mutex // guards what follows; not held while a file is read
	faults  []Fault
	content map[string][]byte // of the files, by their paths from the folder
	size    int               // of all of it
}

// open returns the content of an imported file, by its path from the folder.
func (r *protoReader) open(name string) (io.ReadCloser, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return nil, errors.New("it leads out of the folder of the first file; put what is imported there or below")
	}
	if strings.HasPrefix(name, builtIn) {
		return nil, fs.ErrNotExist
	}
	if !r.reserve(name) {
		return nil, fmt.Errorf("more than %d files are imported", maxFiles)
	}
	path := filepath.Join(r.folder, filepath.FromSlash(name))
	src, err := stablefile.Read(path, stable, maxSource)
	size := r.keep(name, src)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("there is no file %s", path)
	case err != nil:
		return nil, err
	case size > maxSource:
		return nil, fmt.Errorf("%s and what was read before have more than %d bytes", path, maxSource)
	case nesting(src) > maxNesting:
		return nil, fmt.Errorf("%s nests deeper than %d levels", path, maxNesting)
	case oneofSteps(src) > maxOneofSteps:
		return nil, Fault{path, 0, "a message has too many oneofs or optional fields", "make several messages of it"}
	}
	// The compiler would report each zero byte. What is not UTF-8 is not a fault: it may be in a comment.
	if at := bytes.IndexByte(src, 0); at >= 0 {
		return nil, Fault{path, 1 + bytes.Count(src[:at], []byte("\n")), "it has zero bytes, as UTF-16 has", "save the file as UTF-8"}
	}
	return io.NopCloser(bytes.NewReader(src)), nil
}

// reserve makes the file one of those that were opened. It returns false if these are too many.
func (r *protoReader) reserve(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.content) == maxFiles {
		return false
	}
	r.content[name] = nil
	return true
}

// keep stores the content of a file, and returns the size of all files so far.
func (r *protoReader) keep(name string, src []byte) (size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.content[name] = src
	r.size += len(src)
	return r.size
}

// lexed matches what can hold or be a bracket: strings, comments and brackets; and what oneofSteps
// counts. As for the compiler, a
// string without its end goes up to the end of the line, and such a comment to the end of the file. If
// these did not match, the search would begin again behind each of them, which can take minutes.
var lexed = regexp.MustCompile(`"(\\.|[^"\\\n])*"?|'(\\.|[^'\\\n])*'?|//.*|/\*(?s:.*?)(\*/|\z)|[\[\](){}<>;]|\b(?:oneof|optional)\b`)

// nesting returns how deep the brackets of a source nest.
func nesting(src []byte) (deepest int) {
	depth := 0
	for _, at := range lexed.FindAllIndex(src, -1) {
		switch src[at[0]] {
		case '[', '(', '{', '<':
			depth++
		case ']', ')', '}', '>':
			depth = max(0, depth-1)
		}
		deepest = max(deepest, depth)
	}
	return deepest
}

// oneofSteps returns how many steps the compiler takes at most for the oneofs of a source: for each oneof
// it looks at all fields of the message. An optional field of proto3 is one in a oneof of its own.
func oneofSteps(src []byte) (steps int64) {
	optional := bytes.Contains(src, []byte("proto3"))
	type block struct{ oneofs, fields int64 }
	open := []block{{}}
	for _, at := range lexed.FindAllIndex(src, -1) {
		last := &open[len(open)-1]
		switch src[at[0]] {
		case '{':
			open = append(open, block{})
		case '}':
			if len(open) > 1 {
				open = open[:len(open)-1]
				open[len(open)-1].fields += last.fields // which are those of the message, if this was a oneof
				steps += last.oneofs * last.fields
			}
		case ';':
			last.fields++
		case 'o':
			if optional || src[at[0]+1] == 'n' {
				last.oneofs++
			}
		}
	}
	return steps
}

// opened returns the files that open was called for, in order. The caller holds mu.
func (r *protoReader) opened() (files []string) {
	for _, name := range slices.Sorted(maps.Keys(r.content)) {
		files = append(files, filepath.Join(r.folder, filepath.FromSlash(name)))
	}
	return files
}

// report notes a fault. The compiler continues, unless there are too many.
func (r *protoReader) report(err reporter.ErrorWithPos) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, r.fault(err))
	if len(r.faults) >= maxFaults {
		return err
	}
	return nil
}

// spelled matches what the compiler's lexer says about a number or an escape that it then quotes.
// Only a fault needs it.
var spelled = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(invalid syntax in .* value|value out of range for .*|invalid .*escape.*|unicode escape .*|invalid UTF8 .*): .*$`)
})

// fault returns an error of the compiler as a Fault. It does not quote what is not a word of a .proto
// file: the path may be that of a token, which begins with a digit.
func (r *protoReader) fault(err error) Fault {
	if found, ok := errors.AsType[Fault](err); ok { // by open
		return found
	}
	at, ok := errors.AsType[reporter.ErrorWithPos](err)
	if !ok {
		return Fault{What: sanitize.Cut(err.Error(), maxWhat), Remedy: "name a .proto file"}
	}
	what := spelled().ReplaceAllString(at.Unwrap().Error(), "$1")
	return Fault{filepath.Join(r.folder, at.GetPosition().Filename), at.GetPosition().Line, sanitize.Cut(what, maxWhat), "correct it, or check it with protoc"}
}

// addFile adds the messages of a file and of those that it imports.
func (m *Messages) addFile(f protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[f.Path()] || strings.HasPrefix(f.Path(), builtIn) {
		return
	}
	seen[f.Path()] = true
	m.add(f.Messages())
	for i := range f.Imports().Len() {
		m.addFile(f.Imports().Get(i), seen)
	}
}

func (m *Messages) add(all protoreflect.MessageDescriptors) {
	for i := range all.Len() {
		d := all.Get(i)
		m.messages[string(d.FullName())] = d
		m.add(d.Messages())
	}
}

// byName returns a message by its full name, or nil. m may be nil.
func (m *Messages) byName(name string) protoreflect.MessageDescriptor {
	if m == nil {
		return nil
	}
	return m.messages[name]
}

// Names returns the full names of the messages, in order.
func (m *Messages) Names() []string { return slices.Sorted(maps.Keys(m.messages)) }

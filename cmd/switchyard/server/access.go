package server

import (
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"switchyard/policy"
	"switchyard/policy/sanitize"
	"switchyard/proxy"
	"switchyard/proxy/admission"
	"switchyard/proxy/certificate"
	"switchyard/proxy/config"
	"switchyard/proxy/logsample"
)

// An accessLog writes a line for each connection that becomes a session, ends as one, or is refused,
// to the file of log.access_file. Its callers are the goroutines that serve peers, so it copies a line
// to a buffer, and an asyncWriter writes the file. When the buffer is full, as with a disk that hangs,
// lines are lost and counted. Unlike the log, it suppresses no session. Of refusals, which clients can
// cause without limit, it has a few for each reason in a second, and one line for the others.
//
// It implements proxy.Observer. Without a file it does nothing.
type accessLog struct {
	file    atomic.Pointer[accessFile] // nil: there is none
	refusal logsample.Lines            // by reason
	flushed atomic.Int64               // when flush was last called, in Unix seconds

	counting sync.Mutex     // guards what follows, and exchanges of file, so that what lost returns never falls
	before   uint64         // lines that files before it had lost when they were closed
	closing  []*asyncWriter // of files that are being closed, which may still lose lines
}

// An accessFile is a file that is open for lines. A plan opens it, so that one that cannot be
// written is refused before anything takes effect.
type accessFile struct {
	path   string
	log    *slog.Logger
	lines  *asyncWriter
	reopen atomic.Bool // the next write is to open the path again

	file *os.File // owned by the goroutine of lines
}

// keyAccess is the key that names the file.
const keyAccess = "log.access_file"

// accessMode is the mode of a new file. It has addresses and names of peers.
const accessMode = 0o640

// openAccess opens a file for lines. An error has a remedy.
func openAccess(path string, log *slog.Logger) (*accessFile, error) {
	// An open error of the system says what happened, and these say what to do about it.
	file, err := openToAppend(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("%w; make the folder %s, or name another file", err, filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; let the user that Switchyard runs as write there, or name another file", err)
	case errors.Is(err, syscall.EISDIR):
		err = fmt.Errorf("%w; name a file in it", err)
	case errors.Is(err, syscall.ENXIO):
		err = fmt.Errorf("%w: it is a socket, or a pipe that no program reads; start the reader first, or name a file", err)
	}
	if err != nil {
		return nil, err
	}
	f := &accessFile{path: path, log: log, file: file}
	f.lines = newAsyncWriter(f)
	f.lines.start(func(lost int) {
		log.Warn("lines of the access log were lost, as its file did not take them", "file", path, "lines", lost)
	})
	return f, nil
}

// openToAppend opens a file, and does not wait for the reader of a pipe.
func openToAppend(path string) (*os.File, error) {
	if err := checkContent(path); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, accessMode)
}

// accessStart is how a line begins that an accessLog has written, of this version or an earlier one.
var accessStart = regexp.MustCompile(`(?m)^\{"time":"[^"]*","event":"`)

// checkContent refuses a file with other content than lines of an access log, such as /etc/passwd or a
// private key, which lines at its end would spoil. A line near the beginning suffices, as something may
// have cut the first one. What cannot be read cannot be judged.
func checkContent(path string) error {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	if begin, err := io.ReadAll(io.LimitReader(f, 64<<10)); err != nil || accessStart.Match(begin) {
		return nil
	}
	return fmt.Errorf("%s has other content than an access log, and lines would spoil it; name another file, or move that one away", path)
}

// Write implements io.Writer for lines. If the path cannot be opened again, the file that is open
// gets the lines.
func (f *accessFile) Write(lines []byte) (int, error) {
	if f.reopen.Swap(false) {
		if file, err := openToAppend(f.path); err != nil {
			f.log.Error("the access log cannot be reopened; lines go to the previous file", "file", f.path, "error", err)
		} else {
			f.file.Close()
			f.file = file
		}
	}
	return f.file.Write(lines)
}

// close writes what is buffered, for a second at most, and closes the file. f may be nil.
func (f *accessFile) close() {
	if f == nil {
		return
	}
	if f.lines.close() {
		f.file.Close()
	}
}

// prepareAccess opens the file of a configuration's access log, unless it is open already.
func (p *plan) prepareAccess() (*accessFile, error) {
	path := p.config.File(p.config.Log.AccessFile)
	if path == "" {
		return nil, nil
	}
	if now := p.server.access.file.Load(); now != nil && now.path == path {
		return now, nil
	}
	err := checkNotRead(p.config, path)
	if err == nil {
		var f *accessFile
		if f, err = openAccess(path, p.server.log); err == nil {
			return f, nil
		}
	}
	return nil, invalidKey(p.config, keyAccess, err)
}

// commitAccess puts the plan's file in place of the one before.
func (p *plan) commitAccess() {
	if closeBefore := p.server.access.exchange(p.access); closeBefore != nil {
		p.server.leaving.Go(closeBefore)
	}
}

// exchange puts a file in place of the one before, or none if it is nil. It returns how to close that
// one; nil if there is nothing to close.
func (a *accessLog) exchange(next *accessFile) (closeBefore func()) {
	a.counting.Lock()
	defer a.counting.Unlock()
	// Both files are counted until the old one is written: lost must not fall in between.
	before := a.file.Swap(next)
	if before == nil || before == next {
		return nil
	}
	a.closing = append(a.closing, before.lines)
	return func() {
		before.close()
		a.counting.Lock()
		defer a.counting.Unlock()
		a.closing = slices.DeleteFunc(a.closing, func(w *asyncWriter) bool { return w == before.lines })
		a.before += before.lines.lost()
	}
}

// checkNotRead refuses a path of a file that the server reads, such as the configuration or a token:
// lines at its end would change what it says.
func checkNotRead(c *config.Config, path string) error {
	file, err := os.Stat(path)
	if err != nil {
		return nil // it would be made
	}
	for _, read := range watchedFiles(c) {
		if info, err := os.Stat(read); err == nil && os.SameFile(file, info) {
			return fmt.Errorf("the server reads %s, which lines would spoil; name another file", path)
		}
	}
	return nil
}

// checkAccess is the part of openAccess that changes nothing, for 'switchyard check': the file's
// folder is there, and lines can be the file's content.
func checkAccess(c *config.Config) error {
	path := c.File(c.Log.AccessFile)
	if path == "" {
		return nil
	}
	if err := cmp.Or(checkPlace(path), checkNotRead(c, path), checkContent(path)); err != nil {
		return invalidKey(c, keyAccess, err)
	}
	return nil
}

// checkPlace refuses a path at which no file can be made or written.
func checkPlace(path string) error {
	folder := filepath.Dir(path)
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s; make it, or name another file", folder)
	}
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a folder; name a file in it", path)
	case err == nil && info.Mode().Type() == fs.ModeSocket:
		return fmt.Errorf("%s is a socket; name a file", path)
	}
	return nil
}

// reopen has the file opened again with the next line, after somebody has renamed it.
func (a *accessLog) reopen() {
	if f := a.file.Load(); f != nil {
		f.reopen.Store(true)
	}
}

// lost returns how many lines were lost since the start.
func (a *accessLog) lost() uint64 {
	a.counting.Lock()
	defer a.counting.Unlock()
	lost := a.before
	if f := a.file.Load(); f != nil {
		lost += f.lines.lost()
	}
	for _, w := range a.closing {
		lost += w.lost()
	}
	return lost
}

// An accessLine is one line of the access log, in JSON. The names do not change, and those of
// GET /api/v1/connections mean the same.
type accessLine struct {
	Time       time.Time `json:"time"`
	Event      string    `json:"event"` // opened, closed or refused
	Tenant     string    `json:"tenant,omitempty"`
	Session    uint64    `json:"session,omitempty"`
	Peer       string    `json:"peer,omitempty"`
	Proxy      string    `json:"proxy,omitempty"`    // that announced the peer, of a connection that was refused
	Listener   string    `json:"listener,omitempty"` // address at which it was accepted
	TLS        string    `json:"tls,omitempty"`      // version
	ServerName string    `json:"server_name,omitempty"`
	Identities []string  `json:"identities,omitempty"` // in the client's certificate
	Groups     []string  `json:"groups,omitempty"`     // of the tenant, in which the peer is
	Reason     string    `json:"reason,omitempty"`
	Error      string    `json:"error,omitempty"`

	// Connections is how many more were refused for the reason. Such a line has no peer.
	Connections int `json:"connections,omitempty"`

	*accessCounts // of a session that has ended
}

// accessCounts are what a session did from its beginning to its end. Bytes include headers.
type accessCounts struct {
	Since    time.Time `json:"since"`
	Seconds  float64   `json:"seconds"`
	Master   bool      `json:"master"`
	PDUsIn   uint64    `json:"pdus_in"`
	BytesIn  uint64    `json:"bytes_in"`
	PDUsOut  uint64    `json:"pdus_out"`
	BytesOut uint64    `json:"bytes_out"`
}

// Opened implements proxy.Observer.
func (a *accessLog) Opened(tenant string, s proxy.Session) {
	if f := a.file.Load(); f != nil {
		f.write(lineOf("opened", tenant, s))
	}
}

// Closed implements proxy.Observer.
func (a *accessLog) Closed(tenant string, s proxy.Session, e proxy.EndedSession) {
	f := a.file.Load()
	if f == nil {
		return
	}
	l := lineOf("closed", tenant, s)
	l.Time, l.Reason, l.Error = e.Until.UTC(), string(e.Reason), e.Error
	l.accessCounts = &accessCounts{Since: e.Since.UTC(), Seconds: float64(e.Until.Sub(e.Since).Milliseconds()) / 1000, Master: e.Master,
		PDUsIn: e.PDUsIn, BytesIn: e.BytesIn, PDUsOut: e.PDUsOut, BytesOut: e.BytesOut}
	f.write(l)
}

// refused writes a line about a connection that no tenant serves, unless there were enough of that
// reason in this second.
func (a *accessLog) refused(r admission.Refusal) {
	if f := a.file.Load(); f != nil && a.refusal.Admit(string(r.Reason), 1) {
		f.write(accessLine{Time: time.Now().UTC(), Event: "refused", Tenant: r.Tenant, Peer: r.Peer, Proxy: r.Proxy, Listener: r.Listener,
			ServerName: r.ServerName, Identities: r.Identities, Reason: string(r.Reason), Error: r.Error})
	}
}

// flush lets the next refusals through, and writes how many were left out. Every tenant calls it once
// a second, and one of these calls counts.
func (a *accessLog) flush() {
	// CompareAndSwap lets one of the tenants' goroutines through in each second.
	now, last := time.Now().Unix(), a.flushed.Load()
	if now == last || !a.flushed.CompareAndSwap(last, now) {
		return
	}
	f := a.file.Load()
	a.refusal.Flush(func(reason string, n int) {
		if f != nil {
			f.write(accessLine{Time: time.Now().UTC(), Event: "refused", Reason: reason, Connections: n})
		}
	})
}

// lineOf returns a line about a session.
func lineOf(event, tenant string, s proxy.Session) accessLine {
	l := accessLine{Time: time.Now().UTC(), Event: event, Tenant: tenant, Session: s.Number, Peer: s.Peer().String(), Listener: s.Local().String(),
		Groups: policy.GroupNames(s.Groups)}
	if state, ok := s.TLS(); ok {
		l.TLS, l.ServerName = tls.VersionName(state.Version), state.ServerName
		if len(state.VerifiedChains) > 0 {
			l.Identities = certificate.Identities(state.PeerCertificates[0])
		}
	}
	return l
}

// mostIdentities is how many names of a certificate a line has.
const mostIdentities = 8

// write appends a line. What a peer may have made long is cut.
func (f *accessFile) write(l accessLine) {
	l.Error, l.ServerName = sanitize.Cut(l.Error, maxField), sanitize.Cut(l.ServerName, maxField)
	l.Identities = append([]string(nil), l.Identities[:min(len(l.Identities), mostIdentities)]...)
	for i, name := range l.Identities {
		l.Identities[i] = sanitize.Cut(name, maxField)
	}
	line, err := json.Marshal(l)
	if err != nil {
		panic(err) // an accessLine has nothing that JSON does not
	}
	f.lines.Write(append(line, '\n'))
}

var _ proxy.Observer = (*accessLog)(nil)

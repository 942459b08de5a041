package proxy

import (
	"bytes"
	"maps"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"switchyard/proxy/hub"
)

const (
	// loopBuffer is how much one read may bring, and how much is handed over before what
	// follows from it is written. With small PDUs more gains nothing; PDUs of 64 KiB cost
	// half as much as when they come in pieces of 64 KiB.
	loopBuffer = 256 << 10
	// loopEvents is how many sockets one look may find readable.
	loopEvents = 1024
)

// A loop reads from the sockets of a tenant's sessions in one goroutine: what arrives
// at many of them is handed over, and written to all, in one go, and no reader has to be
// woken for it. It has sessions that never wait; one that has to, for a quota, for room
// in the log or since the tenant stops, goes on in a goroutine of its own, and comes back
// when it can. So does one that says what takes long to handle. TLS never comes.
//
// The goroutine sleeps in the runtime's own poller, which polls the epoll like a socket,
// so that it costs no more to wake than any other.
type loop struct {
	// Static after startLoop.
	tenant *Tenant
	epoll  *os.File
	raw    syscall.RawConn
	fd     int // of epoll, which is open while the loop has sessions

	mu      sync.Mutex // guards what follows; no other lock is taken meanwhile
	members map[int32]*session
	last    int32 // number given to a member
	over    bool  // nobody is taken in any more

	// Owned by the goroutine.
	buf    []byte
	events []unix.EpollEvent
	ready  int // of events
	look   func(fd uintptr) bool
}

// startLoop returns a loop that runs until the tenant stops, or nil if there cannot be
// one: then every session has a goroutine, which serves it as well.
func startLoop(t *Tenant) *loop {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil
	}
	unix.SetNonblock(fd, true) // by which os.NewFile knows that it can be polled
	l := &loop{tenant: t, epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd, members: make(map[int32]*session)}
	if l.raw, err = l.epoll.SyscallConn(); err != nil || l.epoll.SetReadDeadline(time.Time{}) != nil {
		l.epoll.Close()
		return nil
	}
	l.buf, l.events, l.look = make([]byte, loopBuffer), make([]unix.EpollEvent, loopEvents), l.lookOnce
	t.serving.Go(l.run)
	return l
}

// add has the loop read from the session from now on, and reports whether it does.
func (l *loop) add(s *session) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || s.reason.Load() != nil {
		return false
	}
	for l.last++; l.last == 0 || l.members[l.last] != nil; {
		l.last++
	}
	if s.socket.watch(l.fd, l.last) != nil {
		return false
	}
	s.in.Compact() // there is l.buf to read into
	s.member, s.looped = l.last, true
	l.members[s.member] = s
	return true
}

// remove takes the session out of the loop.
func (l *loop) remove(s *session) {
	s.looped = false
	s.socket.unwatch(l.fd)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.members, s.member)
}

// end has the loop see that the session is to end, and reports whether it is there.
func (l *loop) end(s *session) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.members[s.member] != s {
		return false
	}
	s.conn.(*net.TCPConn).CloseRead() // fails if the connection is broken, which the loop sees as well
	return true
}

// stop ends the loop. Its sessions go on in goroutines of their own.
func (l *loop) stop() {
	if l != nil {
		l.epoll.SetReadDeadline(time.Now())
	}
}

func (l *loop) run() {
	defer l.epoll.Close()
	for l.raw.Read(l.look) == nil {
		unwritten := 0
		for _, e := range l.events[:l.ready] {
			s := l.member(e.Fd)
			if s == nil {
				continue
			}
			if unwritten += l.serve(s); unwritten >= loopBuffer {
				l.tenant.flush.request()
				unwritten = 0
			}
		}
		if unwritten > 0 {
			l.tenant.flush.request()
		}
	}
	for _, s := range l.close() {
		l.release(s, nil)
	}
}

// lookOnce looks for sockets that can be read from, and reports whether there are any;
// if not, the runtime waits. It does not wait itself, so the scheduler is not told, see
// rawConn.writeOnce.
func (l *loop) lookOnce(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&l.events[0])), uintptr(len(l.events)), 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if l.ready = int(n); errno != 0 {
			l.ready = 0
		}
		return l.ready > 0
	}
}

func (l *loop) member(number int32) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members[number]
}

// close lets nobody in any more, and returns who is there.
func (l *loop) close() map[int32]*session {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	return maps.Clone(l.members)
}

// serve hands over what one read brings, and returns how many bytes that were.
func (l *loop) serve(s *session) int {
	if s.reason.Load() != nil {
		l.finish(s, hub.Forced) // which it is not: there is a reason already
		return 0
	}
	batch, err := s.in.ReadOnce(l.buf)
	switch {
	case err != nil:
		s.cause = err
		l.finish(s, reasonOf(err))
	case len(batch) == 0:
	case !s.tenant.gate.Load().open(s.tenant.hub), s.tenant.hub.Lengthy(batch, s.in.Longest()):
		l.release(s, bytes.Clone(batch))
	default:
		s.speaks()
		if s.tenant.hub.Handle(s.seat, batch) != nil {
			l.finish(s, hub.ClosedBy)
		} else if err := s.in.Err(); err != nil { // behind the batch
			s.cause = err
			l.finish(s, reasonOf(err))
		}
		return len(batch)
	}
	return 0
}

// release has the session go on in a goroutine of its own, with a batch that was read
// and not handed over.
func (l *loop) release(s *session, batch []byte) {
	l.remove(s)
	if s.reason.Load() != nil {
		s.hangUp() // who gave it may have left that to the loop, see end
	}
	l.tenant.serving.Go(func() { s.serve(batch) })
}

// finish ends the session.
func (l *loop) finish(s *session, why hub.Reason) {
	l.remove(s)
	l.tenant.serving.Go(func() { s.finish(why) })
}

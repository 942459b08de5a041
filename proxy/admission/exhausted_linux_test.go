package admission

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/proxy/logsample"
)

// A spare descriptor that was lost, because another part of the process took it, is
// replaced as soon as one is free.
func TestSpareIsReplaced(t *testing.T) {
	h := open(t, Options{})
	a, b := newClient(t), newClient(t)
	before := mayOpen(t, 3) // nothing, not even what the spare one was
	a.connect(h, "127.0.0.1")
	h.losesSpare()
	mayOpen(t, before)
	h.serves("main")
	openAll(t)
	b.connect(h, "127.0.0.1")
	b.gone()
	h.refuses(map[Reason]uint64{NoDescriptors: 1})
}

// The number of lines left out is logged, even while descriptors run out.
func TestFewLinesWhenExhausted(t *testing.T) {
	h := open(t, Options{Allow: networks("127.0.0.2/32")})
	client := newClient(t)
	const n = 3 * logsample.Burst
	for range n {
		h.dial().Close()
	}
	h.refuses(map[Reason]uint64{NotAllowed: n})
	before := mayOpen(t, 3)
	client.connect(h, "127.0.0.2")
	h.losesSpare()
	mayOpen(t, before)
	h.serves("main")
	eventually(t, func() bool { return h.logged() == n }, func() string { return h.lines.String() })
}

// losesSpare waits until a listener that may open nothing has closed its spare descriptor: the line
// about the second failure comes after that.
func (h *harness) losesSpare() {
	h.t.Helper()
	eventually(h.t, func() bool { return strings.Count(h.lines.String(), "accepting a connection failed") >= 2 }, h.lines.String)
}

// mayOpen limits the process to descriptors below most until the test ends, and returns
// the limit before.
func mayOpen(t *testing.T, most uint64) (before uint64) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	before = limit.Cur
	limit.Cur = most
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		limit.Cur = before
		unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	})
	return before
}

// openAll opens all free descriptors until the test ends.
func openAll(t *testing.T) {
	t.Helper()
	mayOpen(t, 100)
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			if !isExhausted(err) {
				t.Fatal(err)
			}
			return
		}
		t.Cleanup(func() { f.Close() })
	}
}

// A client owns a descriptor before it connects, so it can connect when none is left.
type client struct {
	t  *testing.T
	fd int
}

func newClient(t *testing.T) client {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return client{t, fd}
}

// connect connects in the kernel; the listener need not accept.
func (c client) connect(h *harness, from string) {
	c.t.Helper()
	if err := unix.Bind(c.fd, &unix.SockaddrInet4{Addr: [4]byte(net.ParseIP(from).To4())}); err != nil {
		c.t.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: h.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(c.fd, to); err != nil {
		c.t.Fatal(err)
	}
}

// gone waits for the end of the connection, by FIN or RST.
func (c client) gone() {
	c.t.Helper()
	testTimeout := unix.NsecToTimeval(int64(testTimeout))
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &testTimeout); err != nil {
		c.t.Fatal(err)
	}
	if n, err := unix.Read(c.fd, make([]byte, 1)); n > 0 || err == syscall.EAGAIN {
		c.t.Fatalf("read %d bytes (%v), want the end of the connection", n, err)
	}
}

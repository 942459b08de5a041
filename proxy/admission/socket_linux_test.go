package admission

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"switchyard/proxy"
)

// Every kernel has reno and lets every process use it.
func TestCongestionControl(t *testing.T) {
	system, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, Options{CongestionControl: "reno"})
	h.dial()
	if got := congestionControl(t, h.serves("main").Conn); got != "reno" {
		t.Errorf("%q, want reno", got)
	}
	h.Set(Options{Claims: claims(t, "main")})
	h.dial()
	if got, want := congestionControl(t, h.serves("main").Conn), strings.TrimSpace(string(system)); got != want {
		t.Errorf("%q, want the system's, %q", got, want)
	}
	for name, want := range map[string]string{"": "", "reno": "", "nosuch": `no congestion control "nosuch"`, "averyveryverylongname": "averyveryverylongname"} {
		switch err := CheckCongestionControl(name); {
		case want == "" && err != nil:
			t.Errorf("%q: %v", name, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "reno")):
			t.Errorf("%q: %v, want an error that lists the available ones", name, err)
		}
	}
}

func congestionControl(t *testing.T, conn net.Conn) (name string) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { name, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION) })
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// A listener that paces marks its connections, by which the tenant knows them.
func TestPacing(t *testing.T) {
	h := open(t, Options{Pacing: true})
	h.dial()
	if got := unsent(t, h.serves("main").Conn); got != proxy.PacedMark {
		t.Errorf("%d bytes unsent at most, want the mark, %d", got, proxy.PacedMark)
	}
	h.Set(Options{Claims: claims(t, "main")})
	h.dial()
	if got := unsent(t, h.serves("main").Conn); got == proxy.PacedMark {
		t.Errorf("%d bytes unsent at most, want no mark", got)
	}
}

func unsent(t *testing.T, conn net.Conn) (bytes int) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { bytes, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) })
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

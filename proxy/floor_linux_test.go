package proxy

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BenchmarkFloor measures the CPU time of the system calls that deliveries consist of:
// sending to 31 connections, and receiving what was sent. In one case a single thread
// does both in turn, as under a load that never lets it wait. In the other case another
// thread sleeps in epoll and has to be woken.
func BenchmarkFloor(b *testing.B) {
	for _, size := range []int{200, 16 << 10, 64 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("NobodyWaits/%dB", size), func(b *testing.B) {
			f := newFloor(b, size)
			for range b.N {
				for left := f.begin(); left > 0; left -= f.receive() {
					f.send()
				}
			}
			f.report(b)
		})
		b.Run(fmt.Sprintf("SomebodyWaits/%dB", size), func(b *testing.B) {
			f := newFloor(b, size)
			f.startReader(b)
			for range b.N {
				left := int64(f.begin())
				for want := f.drained.Load() + left; f.drained.Load() < want; time.Sleep(50 * time.Microsecond) {
					f.send() // in between, the reader goes to sleep again
				}
			}
			f.report(b)
		})
	}
}

// A floor is a number of connections over loopback, as descriptors that the runtime's
// poller does not know.
type floor struct {
	out, in [31]int
	left    [31]int // to be sent
	size    int
	buf     []byte
	drained atomic.Int64 // bytes that the reader received

	sending, receiving time.Duration
}

func newFloor(b *testing.B, size int) *floor {
	runtime.LockOSThread() // as it is this thread's CPU time that is measured
	b.Cleanup(runtime.UnlockOSThread)
	f := &floor{size: size, buf: make([]byte, 1<<20)}
	for i := range f.out {
		out, in := loopback(b)
		f.out[i], f.in[i] = descriptor(b, out), descriptor(b, in)
	}
	return f
}

func descriptor(b *testing.B, conn *net.TCPConn) int {
	file, err := conn.File()
	if err != nil {
		b.Fatal(err)
	}
	conn.Close()
	b.Cleanup(func() { file.Close() })
	fd := int(file.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		b.Fatal(err)
	}
	return fd
}

// begin gives every connection something to send, and returns how many bytes that are.
func (f *floor) begin() int {
	for i := range f.left {
		f.left[i] = f.size
	}
	return f.size * len(f.left)
}

// send sends what the sockets take.
func (f *floor) send() {
	begun := threadTime()
	for i, fd := range f.out {
		if f.left[i] > 0 {
			if n := call(unix.SYS_WRITE, fd, f.buf[:f.left[i]]); n > 0 {
				f.left[i] -= n
			}
		}
	}
	f.sending += threadTime() - begun
}

// receive receives what the sockets have, and returns how many bytes that were.
func (f *floor) receive() (total int) {
	begun := threadTime()
	for _, fd := range f.in {
		total += max(0, call(unix.SYS_READ, fd, f.buf))
	}
	f.receiving += threadTime() - begun
	return total
}

// startReader starts a thread that receives whatever arrives, until the benchmark ends.
func (f *floor) startReader(b *testing.B) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		b.Fatal(err)
	}
	for _, fd := range f.in {
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
			b.Fatal(err)
		}
	}
	var stop atomic.Bool
	var reading sync.WaitGroup
	reading.Go(func() {
		events, buf := make([]unix.EpollEvent, len(f.in)), make([]byte, 1<<20)
		for !stop.Load() {
			n, _ := unix.EpollWait(epoll, events, 20)
			for _, e := range events[:max(0, n)] {
				f.drained.Add(int64(max(0, call(unix.SYS_READ, int(e.Fd), buf))))
			}
		}
	})
	b.Cleanup(func() {
		stop.Store(true)
		reading.Wait()
		unix.Close(epoll)
	})
}

func (f *floor) report(b *testing.B) {
	messages := float64(b.N * len(f.out))
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(f.sending.Nanoseconds())/messages, "cpu-ns/send")
	if f.receiving > 0 {
		b.ReportMetric(float64(f.receiving.Nanoseconds())/messages, "cpu-ns/receive")
	}
}

// call makes a call on bytes that does not wait, and returns how many it took, or -1.
func call(number uintptr, fd int, p []byte) int {
	n, _, errno := unix.RawSyscall(number, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return -1
	}
	return int(n)
}

// threadTime returns the CPU time of this thread.
func threadTime() time.Duration {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano())
}

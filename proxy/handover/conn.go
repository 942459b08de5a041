package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// A Conn is one end of the stream between both processes. It belongs to one goroutine.
type Conn struct {
	unix *net.UnixConn
	oob  []byte // room for the descriptors of a frame
}

func newConn(unix *net.UnixConn) *Conn {
	return &Conn{unix: unix, oob: make([]byte, rightsBytes)}
}

// Close ends the stream. The other process notices.
func (c *Conn) Close() error { return c.unix.Close() }

var past = time.Unix(1, 0)

// bound makes reading and writing fail when ctx is done, until release is called.
func (c *Conn) bound(ctx context.Context) (release func()) {
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(fired)
		c.unix.SetDeadline(past)
	})
	return func() {
		if !stop() {
			<-fired
		}
		c.unix.SetDeadline(time.Time{})
	}
}

// say sends a message without descriptors.
func (c *Conn) say(k kind, header any) error {
	f, err := newFrame(k, header)
	if err != nil {
		return fmt.Errorf("%v: %w", k, err)
	}
	return c.send(f)
}

// send writes a frame. The descriptors stay the caller's.
//
// The kernel delivers descriptors with the first byte of the write that they were given to, so
// they go with the head alone. A frame without header and body is one write: it arrives as a whole
// or not at all.
func (c *Conn) send(f frame) error {
	head, err := f.head()
	if err != nil {
		return err
	}
	if len(f.descriptors) > 0 {
		n, _, err := c.unix.WriteMsgUnix(head, rights(f.descriptors), nil)
		if err != nil {
			return streamError("send "+f.kind.String(), err)
		}
		head = head[n:]
	}
	rest := net.Buffers{head, f.header, f.body}
	if _, err := rest.WriteTo(c.unix); err != nil {
		return streamError("send "+f.kind.String(), err)
	}
	return nil
}

// receive reads the next frame, which owns its descriptors. On an error, descriptors that have
// arrived are closed.
func (c *Conn) receive() (f frame, err error) {
	head, descriptors, err := c.receiveHead()
	defer func() {
		if err != nil {
			closeAll(descriptors)
		}
	}()
	if err != nil {
		return frame{}, err
	}
	k, claimed, err := parseHead(head)
	if err != nil {
		return frame{}, err
	}
	if claimed.descriptors != len(descriptors) {
		return frame{}, fmt.Errorf("%d descriptors arrived with %v, which claims %d", len(descriptors), k, claimed.descriptors)
	}
	f = frame{kind: k, descriptors: descriptors}
	// These reads have no room for descriptors, so the kernel closes any that arrive here.
	if f.header, err = readExactly(c.unix, claimed.header); err == nil {
		f.body, err = readExactly(c.unix, claimed.body)
	}
	if err != nil {
		return frame{}, streamError("receive "+k.String(), err)
	}
	return f, nil
}

// receiveHead reads the head of a frame and the descriptors that come with it, which are the
// caller's even if there is an error.
func (c *Conn) receiveHead() (head []byte, descriptors []int, err error) {
	head = make([]byte, 0, headBytes)
	for len(head) < headBytes {
		n, oobn, flags, _, err := c.unix.ReadMsgUnix(head[len(head):headBytes], c.oob)
		arrived, faulty := parseRights(c.oob[:oobn])
		descriptors = append(descriptors, arrived...)
		switch {
		case err != nil:
			return nil, descriptors, streamError("receive", err)
		case faulty != nil:
			return nil, descriptors, fmt.Errorf("receive descriptors: %w", faulty)
		case isTruncated(flags) || len(descriptors) > mostTogether:
			return nil, descriptors, errors.New("receive: not all descriptors of a message arrived; raise the limit of open files")
		}
		head = head[:len(head)+n]
	}
	return head, descriptors, nil
}

// closeTime is how long a last message waits for a process that reads nothing. A busy machine may
// let this one wait before it writes, too.
const closeTime = 2 * time.Second

// closeWith sends the last message, if the other process takes it, and closes c.
func (c *Conn) closeWith(k kind, why string) {
	c.unix.SetDeadline(time.Now().Add(closeTime))
	c.say(k, reason{cut(why)})
	c.Close()
}

// longestReason is how much of a reason is sent. It may quote what is in files.
const longestReason = 4 << 10

func cut(why string) string {
	return strings.ToValidUTF8(why[:min(len(why), longestReason)], "")
}

// errEnded: the other process has closed the stream.
var errEnded = errors.New("the other process closed the stream")

// streamError describes an error of the stream, which is errEnded if the stream has ended.
func streamError(doing string, err error) error {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, end) {
			return fmt.Errorf("%s: %w", doing, errEnded)
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

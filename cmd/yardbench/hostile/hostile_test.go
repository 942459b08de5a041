//go:build linux

package hostile

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The peers of each tenant connect from its source and send, until they are told to stop.
func TestPlay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	missing := map[string]bool{}
	for _, tenant := range Tenants {
		missing[tenant.Source] = true
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
			if delete(missing, host); len(missing) == 0 {
				stop()
			}
			serving.Go(func() {
				defer conn.Close()
				io.CopyN(io.Discard, conn, 4<<10)
			})
		}
	})
	var counts Counts
	Play(ctx, l.Addr().String(), &counts)
	l.Close()
	serving.Wait()
	if len(missing) > 0 {
		t.Errorf("no connections from %v", missing)
	}
	if counts.Connections.Load() < int64(len(Tenants)) || counts.Bytes.Load() == 0 {
		t.Errorf("counted %v", &counts)
	}
}

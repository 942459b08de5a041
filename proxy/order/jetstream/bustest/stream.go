package bustest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// T returns the test of the bus.
func (b *Bus) T() testing.TB { return b.t }

// AwaitReplicas waits until every server has all records of a stream. To kill one before that
// may lose them, as they are in memory.
func (b *Bus) AwaitReplicas(js nats.JetStreamContext, stream string) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		info, err := js.StreamInfo(stream)
		current := 0
		if err == nil && info.Cluster != nil {
			for _, r := range info.Cluster.Replicas {
				if r.Current && !r.Offline && r.Lag == 0 {
					current++
				}
			}
			if info.Cluster.Leader != "" && current == len(b.servers)-1 {
				return
			}
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("stream %s has %d current replicas: %+v, %v", stream, current, info, err)
		}
	}
}

// Lead makes server i the leader of a stream.
func (b *Bus) Lead(js nats.JetStreamContext, stream string, i int) {
	b.t.Helper()
	conn, err := nats.Connect(strings.Join(b.Servers(0), ","))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	name := fmt.Sprintf("server%d", i)
	for deadline := time.Now().Add(time.Minute); b.Leader(js, stream) != i; time.Sleep(50 * time.Millisecond) {
		request, _ := json.Marshal(map[string]any{"placement": map[string]string{"preferred": name}})
		if _, err := conn.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, request, 5*time.Second); err != nil && time.Now().After(deadline) {
			b.t.Fatal(err)
		}
	}
}

package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"switchyard/proxy/order"
)

// The donor's part when another hub enters: the applier exports the state as of the other hub's Enter, and
// a goroutine sends it.

// export sends the state as of the last entry to a hub that has entered there. It copies the whole state
// before it returns, because the applier continues with the next record; the goroutine of donate sends the
// copy.
func (c *membership) export(now time.Time, to order.Origin) {
	var chunks [][]byte
	keep := func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	}
	c.beat(now)
	var err error
	c.audible(func() {
		chunks = c.exportMembers()
		err = c.settings.Hub.ExportOrdered(keep)
	})
	if err != nil {
		c.log.Error("the state could not be exported for a hub that enters the cluster", "hub", to.Hub, "error", err)
		return
	}
	c.donate(c.origin, to, chunks)
}

// exportMembers returns the chunks of what is known of the members, behind its length in 8 bytes.
func (c *membership) exportMembers() [][]byte {
	b := c.members.Export(make([]byte, 8))
	binary.BigEndian.PutUint64(b, uint64(len(b)-8))
	return slices.Collect(slices.Chunk(b, order.MaxStateChunk))
}

// readMembers returns what exportMembers has exported.
func readMembers(next func() ([]byte, error)) ([]byte, error) {
	var b []byte
	for len(b) < 8 || uint64(len(b)-8) < binary.BigEndian.Uint64(b) {
		chunk, err := next()
		if err != nil {
			return nil, fmt.Errorf("the members: %w", err)
		}
		b = append(b, chunk...)
	}
	return b[8:], nil
}

// donate sends the state to a hub that enters. If the hub has entered before, what was sent to it
// is of no further use.
func (m *Member) donate(from, to order.Origin, chunks [][]byte) {
	if cancel := m.donations[to.Hub]; cancel != nil {
		cancel()
	}
	ctx, cancel := context.WithCancel(m.ctx)
	m.donations[to.Hub] = cancel
	m.running.Go(func() {
		defer cancel()
		m.sendState(ctx, from, to, chunks)
	})
}

// sendState sends the state until ctx is done.
func (m *Member) sendState(ctx context.Context, from, to order.Origin, chunks [][]byte) {
	for i, chunk := range chunks {
		err := m.sendChunk(ctx, from, to, chunk, i == len(chunks)-1)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			m.membership.log.Warn("the state could not be sent to a hub that enters the cluster; it will ask again", "hub", to.Hub, "error", err)
			return
		}
	}
}

// sendChunk sends one chunk, and waits for its acknowledgement for answerTime at most.
func (m *Member) sendChunk(ctx context.Context, from, to order.Origin, chunk []byte, last bool) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return m.log.SendState(ctx, from, to, chunk, last)
}

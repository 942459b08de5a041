package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"switchyard/proxy/order"
)

// smallest is the least max_payload of the bus's servers: a chunk of a tenant's state.
const smallest = order.MaxStateChunk

// config returns what a stream has to be.
func (s Settings) config() *nats.StreamConfig {
	return &nats.StreamConfig{
		Name:        s.stream(),
		Description: "Order of the hubs of a Switchyard cluster. It may be deleted at any time: the hubs enter again.",
		Subjects:    []string{s.in("*")},
		Retention:   nats.LimitsPolicy,
		Discard:     nats.DiscardOld,
		Storage:     nats.MemoryStorage,
		Replicas:    s.Replicas,
		MaxBytes:    s.LogBytes,
		MaxMsgs:     -1,
		AllowDirect: true,
		RePublish:   &nats.RePublish{Source: s.in("*"), Destination: s.out("{{wildcard(1)}}")},
	}
}

// A permanent error is one that an operator has to mend; asking again does not help.
type permanentError struct{ error }

func (e permanentError) Unwrap() error { return e.error }

// The stream of a tenant is made by the first hub that looks for it. All hubs have to want the same
// settings, or each would refuse the stream of the other: those that may differ while an operator
// changes the configuration hub by hub are left out of the comparison, see suits.

// find returns what the stream says about itself, after creating it if it is missing.
func (l *Log) find(ctx context.Context, k *connection) (*nats.StreamInfo, error) {
	if err := k.largeEnough(); err != nil {
		return nil, err
	}
	info, err := l.info(ctx, k, l.settings.in("*"))
	if errors.Is(err, nats.ErrStreamNotFound) {
		if err := l.create(ctx, k); err != nil {
			return nil, err
		}
		info, err = l.info(ctx, k, l.settings.in("*"))
	}
	if err != nil {
		return nil, err
	}
	return info, l.suits(&info.Config)
}

// largeEnough checks that the server takes the largest message of a hub.
func (k *connection) largeEnough() error {
	if size := k.conn.MaxPayload(); size < smallest {
		return permanentError{fmt.Errorf("server %s takes messages of at most %d bytes, and the state of a tenant needs %d: set max_payload of all servers of the bus to 1MB, which is its default", k.conn.ConnectedUrlRedacted(), size, smallest)}
	}
	return nil
}

// info asks the stream's leader, and for the subjects that match filter, if there is one.
func (l *Log) info(ctx context.Context, k *connection, filter string) (*nats.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, l.times.answer)
	defer cancel()
	options := []nats.JSOpt{nats.Context(ctx)}
	if filter != "" {
		options = append(options, &nats.StreamInfoRequest{SubjectsFilter: filter})
	}
	info, err := k.js.StreamInfo(l.settings.stream(), options...)
	if err != nil {
		return nil, l.explain(k, "ask for stream "+l.settings.stream(), err)
	}
	return info, nil
}

// create makes the stream. Another hub may be faster, which is as good.
func (l *Log) create(ctx context.Context, k *connection) error {
	ctx, cancel := context.WithTimeout(ctx, l.times.answer)
	defer cancel()
	_, err := k.js.AddStream(l.settings.config(), nats.Context(ctx))
	if err == nil || errors.Is(err, nats.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return l.explain(k, "create stream "+l.settings.stream(), err)
}

// suits says whether the stream that was found can be the log. Size and replicas may differ,
// so that they can be changed one hub after the other.
func (l *Log) suits(found *nats.StreamConfig) error {
	want := l.settings.config()
	var faults []string
	check := func(ok bool, fault string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Sprintf(fault, args...))
		}
	}
	check(slices.Equal(found.Subjects, want.Subjects), "subjects are %q, want %q", found.Subjects, want.Subjects)
	check(found.RePublish != nil && *found.RePublish == *want.RePublish, "it is not republished to %s", want.RePublish.Destination)
	check(found.Storage == want.Storage, "storage is %s, want memory", found.Storage)
	check(found.Retention == want.Retention, "retention is %s, want limits", found.Retention)
	check(found.Discard == want.Discard, "discard is %s, want old", found.Discard)
	check(found.AllowDirect, "direct get is not allowed")
	check(found.MaxMsgs <= 0 && found.MaxMsgsPerSubject <= 0 && found.MaxAge == 0, "it is limited by number or age of messages, want by bytes alone")
	check(found.MaxMsgSize <= 0 || int(found.MaxMsgSize) >= smallest, "messages are limited to %d bytes", found.MaxMsgSize)
	check(found.Mirror == nil && len(found.Sources) == 0 && !found.Sealed && found.SubjectTransform == nil, "it is a mirror, is sealed or transforms subjects")
	if faults != nil {
		return permanentError{fmt.Errorf("stream %s has other settings than a hub needs: %s; another cluster or program uses the name, or somebody edited the stream: choose another cluster name, or delete the stream, which the hubs then create", found.Name, strings.Join(faults, "; "))}
	}
	if found.Replicas != want.Replicas || found.MaxBytes != want.MaxBytes {
		l.settings.Log.Warn("the stream on the bus differs from the configuration; it stays as it is until it is deleted or edited", "stream", found.Name,
			"replicas", found.Replicas, "configured_replicas", want.Replicas, "bytes", found.MaxBytes, "configured_bytes", want.MaxBytes)
	}
	return nil
}

// Codes of the bus's errors that the client library does not name.
const (
	subjectsOverlap = 10065
	noPeers         = 10005
	noStreamsLeft   = 10027
	noMemoryLeft    = 10028
	noReplicas      = 10074
)

// explain says what an operator can do about an error of the bus. It returns a permanent error for what
// only an operator can mend. The order of the cases matters: without a connection every request fails,
// whatever else is wrong; and the client reports a refused permission apart from the request that was
// refused, which only gets no answer, so a recent refusal explains one that got none.
func (l *Log) explain(k *connection, doing string, err error) error {
	k.mu.Lock()
	refused, cause := k.refused, k.cause
	if time.Since(k.refusedAt) > 2*l.times.answer { // not what was asked now
		refused = nil
	}
	k.mu.Unlock()
	code := 0
	if api, ok := errors.AsType[*nats.APIError](err); ok {
		code = int(api.ErrorCode)
	}
	remedy := ""
	switch {
	case !k.conn.IsConnected():
		return l.unreached()
	case errors.Is(err, nats.ErrStreamNotFound):
	case errors.Is(err, nats.ErrPermissionViolation):
		return permanentError{fmt.Errorf("%s: %w: %s", doing, plain(err), l.permissions())}
	case refused != nil && unansweredBy(err):
		return permanentError{fmt.Errorf("%s: %w: %s", doing, refused, l.permissions())}
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrJetStreamNotEnabledForAccount):
		// Also while servers start, so this may heal.
		remedy = "JetStream does not answer: enable it in the servers of the bus and for the account of the hubs"
	case code == subjectsOverlap:
		return permanentError{fmt.Errorf("%s: %w: another stream has the subjects %s: delete it, or choose another cluster name", doing, err, l.settings.in("*"))}
	case code == noReplicas, code == noPeers:
		remedy = fmt.Sprintf("the bus has no %d servers with JetStream and room for the stream: start more, or set replicas to 1 for a bus of a single server", l.settings.Replicas)
	case code == int(nats.JSErrCodeInsufficientResourcesErr), code == noMemoryLeft, code == noStreamsLeft:
		remedy = fmt.Sprintf("the account or the servers have no room: the stream takes %d bytes of memory in each of %d servers", l.settings.LogBytes, l.settings.Replicas)
	case unansweredBy(err):
		remedy = fmt.Sprintf("no answer within %v: the stream has no leader, or the bus is overloaded", l.times.answer)
		if cause != nil {
			remedy += fmt.Sprintf(" (last fault: %v)", cause)
		}
	}
	if remedy == "" {
		return fmt.Errorf("%s: %w", doing, plain(err))
	}
	return fmt.Errorf("%s: %w: %s", doing, plain(err), remedy)
}

// unansweredBy says that a request got no answer in time.
func unansweredBy(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
}

// permissions says what the bus has to permit.
func (l *Log) permissions() string {
	return fmt.Sprintf("permit the hubs' user to publish and to subscribe to sy.%s.>, and to publish to $JS.API.STREAM.> and $JS.API.DIRECT.GET.*", l.settings.Cluster)
}

// unreached returns the error of a hub without a connection to the bus.
func (l *Log) unreached() error {
	k := l.connection.Load()
	k.mu.Lock()
	defer k.mu.Unlock()
	servers := strings.Join(l.settings.Servers, ", ")
	if k.cause == nil {
		return fmt.Errorf("no server of the bus is connected: %s", servers)
	}
	return fmt.Errorf("no server of the bus is connected: %s: %w", servers, k.cause)
}

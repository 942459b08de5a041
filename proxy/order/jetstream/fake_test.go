package jetstream

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A fakeBus is a server that speaks the protocol of NATS as far as a Log uses it, and has one
// stream. It fails as a test tells it to.
type fakeBus struct {
	t        testing.TB
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex // held while a line of a client is handled
	clients map[*fakeClient]struct{}
	created time.Time // of the stream; zero if there is none
	config  json.RawMessage
	first   uint64 // number of the first record
	records []fakeRecord

	largest int                      // max_payload
	lose    func(number uint64) bool // whether a record is not republished
	behind  int                      // as many direct gets do not know the last record
	mute    bool                     // no question is answered
	refuse  string                   // an error, as JSON, with which records are refused
	forbid  string                   // what begins the subjects to which nobody may publish; "" forbids none
	asked   map[string]int           // questions, by the verb of the interface
}

type fakeRecord struct {
	subject string
	at      time.Time
	data    string
}

type fakeClient struct {
	conn net.Conn
	subs map[string]string // subject by id
}

const fakeStream = "SY_test_main"

func startFake(t testing.TB) *fakeBus {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBus{t: t, listener: l, clients: map[*fakeClient]struct{}{}, first: 1, asked: map[string]int{}, largest: 1 << 20}
	b.running.Go(b.accept)
	t.Cleanup(func() {
		l.Close()
		b.cut()
		b.running.Wait()
	})
	return b
}

func (b *fakeBus) accept() {
	for {
		conn, err := b.listener.Accept()
		if err != nil {
			return
		}
		c := &fakeClient{conn: conn, subs: map[string]string{}}
		b.mu.Lock()
		b.clients[c] = struct{}{}
		fmt.Fprintf(conn, "INFO {\"server_id\":\"fake\",\"version\":\"2.15.2\",\"proto\":1,\"headers\":true,\"jetstream\":true,\"max_payload\":%d}\r\n", b.largest)
		b.mu.Unlock()
		b.running.Go(func() { b.serve(c) })
	}
}

// cut ends all connections.
func (b *fakeBus) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.clients {
		c.conn.Close()
		delete(b.clients, c)
	}
}

// report sends an error of the server to all clients.
func (b *fakeBus) report(err string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for c := range b.clients {
		fmt.Fprintf(c.conn, "-ERR '%s'\r\n", err)
	}
}

// subscribed waits until somebody has subscribed to the subject again.
func (b *fakeBus) subscribed(subject string) {
	b.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		for c := range b.clients {
			for _, pattern := range c.subs {
				if covers(pattern, subject) {
					b.mu.Unlock()
					return
				}
			}
		}
		b.mu.Unlock()
		if time.Now().After(end) {
			b.t.Fatalf("nobody subscribes to %s", subject)
		}
	}
}

func (b *fakeBus) serve(c *fakeClient) {
	defer func() {
		c.conn.Close()
		b.mu.Lock()
		delete(b.clients, c)
		b.mu.Unlock()
	}()
	r := bufio.NewReader(c.conn)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		f := strings.Fields(line)
		var payload []byte
		switch f[0] {
		case "PUB":
			n, _ := strconv.Atoi(f[len(f)-1])
			payload = make([]byte, n+2)
			if _, err := io.ReadFull(r, payload); err != nil {
				return
			}
			payload = payload[:n]
		}
		b.mu.Lock()
		b.line(c, f, payload)
		b.mu.Unlock()
	}
}

// line handles what a client says.
func (b *fakeBus) line(c *fakeClient, f []string, payload []byte) {
	switch f[0] {
	case "PING":
		fmt.Fprint(c.conn, "PONG\r\n")
	case "SUB":
		c.subs[f[len(f)-1]] = f[1]
	case "UNSUB":
		delete(c.subs, f[1])
	case "PUB":
		reply := ""
		if len(f) == 4 {
			reply = f[2]
		}
		if b.forbid != "" && strings.HasPrefix(f[1], b.forbid) {
			fmt.Fprintf(c.conn, "-ERR 'Permissions Violation for Publish to \"%s\"'\r\n", f[1])
			return
		}
		b.published(f[1], reply, payload)
	}
}

func (b *fakeBus) published(subject, reply string, payload []byte) {
	question, isQuestion := strings.CutPrefix(subject, "$JS.API.")
	switch {
	case isQuestion:
		b.question(strings.TrimSuffix(question, "."+fakeStream), reply, payload)
	case strings.HasPrefix(subject, "sy.test.main.in.") && b.refuse != "":
		if reply != "" {
			b.send(reply, "", "", []byte(`{"error":`+b.refuse+`,"stream":"`+fakeStream+`","seq":0}`))
		}
	case strings.HasPrefix(subject, "sy.test.main.in."):
		b.store(subject, string(payload))
	default:
		b.send(subject, reply, "", payload)
	}
}

// append stores a record of hub 9.
func (b *fakeBus) append(data string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.store("sy.test.main.in.9", data)
}

// store gives a record its number, and republishes it.
func (b *fakeBus) store(subject, data string) {
	if b.created.IsZero() {
		return
	}
	b.records = append(b.records, fakeRecord{subject, time.Now(), data})
	number := b.last()
	if b.lose == nil || !b.lose(number) {
		b.republish(number)
	}
}

func (b *fakeBus) last() uint64 { return b.first + uint64(len(b.records)) - 1 }

func (b *fakeBus) republish(number uint64) {
	r := b.records[number-b.first]
	b.send(strings.Replace(r.subject, ".in.", ".log.", 1), "", b.header(number), []byte(r.data))
}

func (b *fakeBus) header(number uint64) string {
	r := b.records[number-b.first]
	return fmt.Sprintf("NATS/1.0\r\nNats-Stream: %s\r\nNats-Subject: %s\r\nNats-Sequence: %d\r\nNats-Time-Stamp: %s\r\n\r\n", fakeStream, r.subject, number, r.at.UTC().Format(time.RFC3339Nano))
}

// send sends a message to whoever has subscribed.
func (b *fakeBus) send(subject, reply, header string, data []byte) {
	for c := range b.clients {
		for id, pattern := range c.subs {
			if !covers(pattern, subject) {
				continue
			}
			if header == "" {
				fmt.Fprintf(c.conn, "MSG %s %s %s %d\r\n%s\r\n", subject, id, reply, len(data), data)
			} else {
				fmt.Fprintf(c.conn, "HMSG %s %s %s %d %d\r\n%s%s\r\n", subject, id, reply, len(header), len(header)+len(data), header, data)
			}
		}
	}
}

// covers says whether a subscription receives a subject.
func covers(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		switch {
		case token == ">":
			return len(s) > i
		case i >= len(s) || token != "*" && token != s[i]:
			return false
		}
	}
	return len(p) == len(s)
}

// question answers a question of JetStream's interface.
func (b *fakeBus) question(verb, reply string, payload []byte) {
	b.asked[verb]++
	switch {
	case b.mute:
	case strings.HasPrefix(verb, "STREAM.DELETE."): // of another stream, whose creation is not answered
		b.send(reply, "", "", []byte(`{"success":true}`))
	case verb == "STREAM.CREATE":
		b.created, b.config = time.Now(), append(json.RawMessage(nil), payload...)
		b.send(reply, "", "", b.info(false))
	case b.created.IsZero():
		b.send(reply, "", "", []byte(`{"error":{"code":404,"err_code":10059,"description":"stream not found"}}`))
	case verb == "STREAM.INFO":
		b.send(reply, "", "", b.info(len(payload) > 0))
	case verb == "STREAM.MSG.GET":
		b.answerLast(reply, payload)
	case verb == "DIRECT.GET":
		b.answerGet(reply, payload)
	}
}

// askedAbout returns how many questions began with these words.
func (b *fakeBus) askedAbout(words string) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for question, times := range b.asked {
		if strings.HasPrefix(question, words) {
			n += times
		}
	}
	return n
}

// info is what the stream says about itself, with its subjects if they were asked for.
func (b *fakeBus) info(subjects bool) []byte {
	state := map[string]any{"first_seq": b.first, "last_seq": b.last(), "messages": len(b.records)}
	answer := map[string]any{"config": b.config, "created": b.created, "state": state}
	if subjects {
		counts := map[string]int{}
		for _, r := range b.records {
			counts[r.subject]++
		}
		state["subjects"], answer["total"] = counts, len(counts)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		b.t.Error(err)
	}
	return text
}

func (b *fakeBus) answerLast(reply string, payload []byte) {
	var q struct {
		Last string `json:"last_by_subj"`
	}
	if err := json.Unmarshal(payload, &q); err != nil {
		b.t.Error(err)
	}
	for number := b.last(); number >= b.first; number-- {
		if r := b.records[number-b.first]; r.subject == q.Last {
			text, err := json.Marshal(map[string]any{"message": map[string]any{"subject": r.subject, "seq": number, "data": []byte(r.data), "time": r.at}})
			if err != nil {
				b.t.Error(err)
			}
			b.send(reply, "", "", text)
			return
		}
	}
}

func (b *fakeBus) answerGet(reply string, payload []byte) {
	var q struct{ Seq, Batch uint64 }
	if err := json.Unmarshal(payload, &q); err != nil {
		b.t.Error(err)
	}
	last := b.last()
	if b.behind > 0 {
		b.behind--
		last--
	}
	from, sent := max(q.Seq, b.first), uint64(0)
	for ; from+sent <= last && sent < q.Batch; sent++ {
		b.send(reply, "", b.header(from+sent), []byte(b.records[from+sent-b.first].data))
	}
	if sent == 0 {
		b.send(reply, "", "NATS/1.0 404 Message Not Found\r\n\r\n", nil)
		return
	}
	b.send(reply, "", "NATS/1.0 204 EOB\r\n\r\n", nil)
}

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"switchyard/pdu"
	"switchyard/policy/abi"
	"switchyard/policy/policytest"
	"switchyard/proxy"
	"switchyard/proxy/admission"
	"switchyard/proxy/certificate/authority"
	"switchyard/proxy/tenant"
)

// hubHere serves a tenant in this process, and returns its address.
func hubHere(t *testing.T, o admission.Options) string {
	t.Helper()
	active := policytest.Active(policytest.Rules{
		pdu.CID_MSG_DATA:                        abi.BroadcastAll,
		pdu.CID_MSG_READ_ACK:                    abi.Close,
		pdu.CID_OTHER_ROLE_SET:                  abi.Handle | abi.RoleSet<<32,
		pdu.CID_OTHER_ONLINE_USER_INFO:          abi.Handle | abi.OnlineUserInfo<<32,
		pdu.CID_BUDDY_LIST_USERS_STATUS_REQUEST: abi.Handle | abi.UsersStatusRequest<<32,
	})
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	served := proxy.NewTenant("default", active, proxy.Limits{Heartbeat: time.Hour, Timeout: time.Hour, FirstPDU: time.Hour, WriteTimeout: time.Hour,
		MaxPDU: 1 << 20, LagHard: 64 << 20, LagSoft: 8 << 20, LagSoftTime: time.Hour}, log)
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if o.Claims, err = tenant.NewClaims("default"); err != nil {
		t.Fatal(err)
	}
	o.Connections, o.SourceConnections, o.HandshakeTimeout = 10, 10, time.Hour
	l := admission.Open(socket, o, func(string) admission.Server { return served }, log)
	t.Cleanup(func() {
		l.Close()
		served.Close()
		active.Close()
	})
	return socket.Addr().String()
}

// sends runs 'switchyard send', and returns what it prints with one blank where there are several.
func sends(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(append([]string{"send"}, args...), nil, &out, &errs); code != want {
		t.Errorf("%q: exit code %d, want %d\n%s%s", args, code, want, out.String(), errs.String())
	}
	return strings.Join(strings.Fields(out.String()), " "), strings.Join(strings.Fields(errs.String()), " ")
}

// says checks that a text contains words.
func says(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("it does not say %q:\n%s", w, text)
		}
	}
}

const (
	statusRequest  = "CID_BUDDY_LIST_USERS_STATUS_REQUEST"
	statusResponse = "CID_BUDDY_LIST_USERS_STATUS_RESPONSE"
)

// What is announced before counts, the answer is decoded, and the command ends with it. All ways
// to write the body give the same.
func TestSendAndAnswer(t *testing.T) {
	t.Parallel()
	hub := hubHere(t, admission.Options{})
	for _, body := range [][]string{
		{"user_id=0x1", "user_id_list=7", "user_id_list=[8]"},
		{`{"user_id": 1, "user_id_list": [7, 8]}`},
		{"--hex", "08 01 10 07 10 08"},
	} {
		args := append([]string{statusRequest, "--hub", hub, "--seq", "9", "--user", "7", "--master", "--expect", statusResponse, "--wait", "1m"}, body...)
		stdout, stderr := sends(t, exitStopped, args...)
		says(t, stdout, "received "+statusResponse, "seq 9", `{"user_id":1,"user_stat_list":[{"user_id":7,"status":"USER_STATUS_ONLINE"},{"user_id":8,"status":"USER_STATUS_OFFLINE"}]`)
		says(t, stderr, `sent CID_OTHER_ROLE_SET 18 bytes seq 0 {"master":1}`, "sent CID_OTHER_ONLINE_USER_INFO", "sent "+statusRequest+" 22 bytes seq 9")
	}
}

func TestSendJSON(t *testing.T) {
	t.Parallel()
	hub := hubHere(t, admission.Options{})
	photo := filepath.Join(t.TempDir(), "photo")
	if err := os.WriteFile(photo, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := sends(t, exitStopped, "CID_MSG_DATA", "from_user_id=1", "msg_data=file:"+photo, "--hub", hub, "--json", "--expect", "0x0301", "--wait", "1m", "--service", "SID_OTHER")
	var l sentLine
	if err := json.Unmarshal([]byte(stdout), &l); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	if l.Kind != "received" || l.Command != "CID_MSG_DATA" || l.ID != 0x0301 || l.Service != "SID_OTHER" || l.Length != 25 || string(l.Body) != `{"from_user_id":1,"msg_data":"aGVsbG8="}` {
		t.Errorf("the line is %s", stdout)
	}
	says(t, stderr, `"kind":"sent"`, "its body lacks required fields of IM.Message.IMMsgData")
}

// The exit code says how it ended.
func TestSendEnds(t *testing.T) {
	t.Parallel()
	hub := hubHere(t, admission.Options{})
	_, stderr := sends(t, exitNotYet, "CID_OTHER_HEARTBEAT", "--hub", hub, "--wait", "0s", "--expect", statusResponse)
	says(t, stderr, statusResponse+" did not come back within 0s")
	_, stderr = sends(t, exitStopped, "0x0999", "--hub", hub, "--wait", "0s")
	says(t, stderr, "sent 0x0999", "nothing came back within 0s; what goes to other peers does not come back")
	_, stderr = sends(t, exitForced, "CID_MSG_READ_ACK", "--hub", hub, "--wait", "1m")
	says(t, stderr, "the hub closed the connection after", "its log says why")
	_, stderr = sends(t, exitUnavailable, "CID_OTHER_HEARTBEAT", "--hub", "127.0.0.1:1")
	says(t, stderr, "connect to 127.0.0.1:1", "does a hub listen there")
}

// A PDU that the hub does not accept in time is an error, and is not printed as sent.
func TestSendToAHubThatDoesNotRead(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	near.SetWriteDeadline(time.Now())
	var s sendOptions
	var stderr bytes.Buffer
	err := s.write(near, [][]byte{pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)}, &stderr)
	if exitCode(err) != exitUnavailable || stderr.Len() > 0 {
		t.Errorf("exit code %d for %v\n%s", exitCode(err), err, stderr.String())
	}
	says(t, fmt.Sprint(err), "CID_OTHER_HEARTBEAT was not sent as a whole")
}

// A server of something else is recognized by what it sends.
func TestSendToNoHub(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			fmt.Fprint(conn, "SSH-2.0-OpenSSH\r\n\x00\x00")
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	_, stderr := sends(t, exitUnavailable, "CID_OTHER_HEARTBEAT", "--hub", l.Addr().String(), "--wait", "1m")
	says(t, stderr, "sends no PDUs", "name a hub by --hub")
}

// An HTTP server, such as the admin interface, waits for the rest of a request that it does not get from
// a PDU. It is recognized when nothing comes back.
func TestSendToAnHTTPServer(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	conn, err := net.Dial("tcp", web.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(pdu.Append(nil, pdu.SID_OTHER, pdu.CID_OTHER_HEARTBEAT, 0, nil)); err != nil {
		t.Fatal(err)
	}
	conn.SetReadDeadline(time.Now())
	s := sendOptions{probe: time.Minute}
	err = s.answers(t.Context(), conn, time.Now(), io.Discard, io.Discard)
	if exitCode(err) != exitUnavailable {
		t.Errorf("exit code %d", exitCode(err))
	}
	says(t, fmt.Sprint(err), "is not a hub but an HTTP server, such as the admin interface")
}

// An interrupt ends the wait, and is not told as the end of the time.
func TestSendIsInterrupted(t *testing.T) {
	t.Parallel()
	for expect, want := range map[string]int{"": exitStopped, statusResponse: exitNotYet} {
		near, far := net.Pipe()
		near.SetDeadline(time.Now())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := sendOptions{expect: expect, awaited: pdu.CID_BUDDY_LIST_USERS_STATUS_RESPONSE, wait: time.Minute}
		var stderr bytes.Buffer
		err := s.answers(ctx, near, time.Now(), io.Discard, &stderr)
		if exitCode(err) != want || stderr.Len() > 0 || err != nil && !strings.HasPrefix(err.Error(), "interrupted after ") || err != nil && !strings.HasSuffix(err.Error(), ", before "+statusResponse+" came back; 0 other PDUs did") {
			t.Errorf("expecting %q: exit code %d, %v\n%s", expect, exitCode(err), err, stderr.String())
		}
		near.Close()
		far.Close()
	}
}

// A PROXY header and mutual TLS: what the listener of the configuration needs and no flag says is
// taken from there, or the error says which flag.
func TestSendAsTheListenerNeeds(t *testing.T) {
	t.Parallel()
	dir, ca := t.TempDir(), authority.New(t, "ca")
	server, caFile := ca.Server("hub.example"), ca.Write(dir, "ca")
	certificate, key := server.Write(dir, "server")
	clientCert, clientKey := ca.Client("north").Write(dir, "client")
	hub := hubHere(t, admission.Options{ProxyFrom: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		TLS: &tls.Config{Certificates: []tls.Certificate{server.TLS()}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}})
	config := filepath.Join(dir, "config.toml")
	write(t, config, fmt.Sprintf("[[listener]]\naddress = %q\nproxy_from = [\"127.0.0.1\"]\n[listener.tls]\ncertificate = %q\nkey = %q\nclient_ca = %q\n", hub, certificate, key, caFile))

	ask := []string{statusRequest, "user_id=1", "--config", config, "--wait", "1m", "--expect", statusResponse}
	_, stderr := sends(t, exitUsage, ask...)
	says(t, stderr, "expects a PROXY header from 127.0.0.1", "--proxy 192.0.2.7")
	ask = append(ask, "--proxy", "192.0.2.7")
	_, stderr = sends(t, exitUsage, ask...)
	says(t, stderr, "asks for a certificate", "--cert and --key")
	ask = append(ask, "--cert", clientCert, "--key", clientKey)
	stdout, _ := sends(t, exitStopped, ask...)
	says(t, stdout, "received "+statusResponse)

	byHub := []string{statusRequest, "user_id=1", "--hub", hub, "--wait", "1m", "--expect", statusResponse, "--proxy", "[2001:db8::7]:5000", "--cert", clientCert, "--key", clientKey, "--ca", caFile}
	_, stderr = sends(t, exitUnavailable, append(byHub, "--server-name", "other.example")...)
	says(t, stderr, "as a client of other.example", "certificate")
	stdout, _ = sends(t, exitStopped, append(byHub, "--server-name", "hub.example")...)
	says(t, stdout, "received "+statusResponse)
}

// A wrong command line names the nearest word, and nothing is sent.
func TestSendRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	write(t, empty, "")
	anyPort := filepath.Join(dir, "config.toml")
	write(t, anyPort, "[[listener]]\naddress = \"127.0.0.1:0\"\n")
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", exitUsage, "send needs a COMMAND"},
		{"CID_MSG_DTA", exitUsage, "did you mean CID_MSG_DATA?"},
		{"CID_MSG_DATA from_usr_id=1", exitUsage, "did you mean from_user_id?"},
		{"CID_MSG_DATA from_user_id", exitUsage, "write FIELD=VALUE"},
		{"CID_MSG_DATA from_user_id=4294967296", exitUsage, "does not fit"},
		{"CID_MSG_DATA msg_type=MSG_TYPE_SINGLE_TXT", exitUsage, "did you mean MSG_TYPE_SINGLE_TEXT?"},
		{"CID_MSG_DATA msg_data=file:" + dir, exitUsage, "not a regular file"},
		{`CID_MSG_DATA {"from":1}`, exitUsage, "the body in JSON"},
		{"CID_MSG_DATA from_user_id=1 --hex 00", exitUsage, "keep one"},
		{"CID_MSG_DATA --hex 0", exitUsage, "two hex digits for each byte"},
		{"CID_MSG_DATA --service SID_MGS", exitUsage, "did you mean SID_MSG?"},
		{"CID_MSG_DATA --expect CID_MSG_DTA", exitUsage, "--expect: unknown command"},
		{"CID_MSG_DATA --wait -1s", exitUsage, "--wait -1s is negative"},
		{"CID_MSG_DATA --user anna", exitUsage, "write a whole number"},
		{"CID_MSG_DATA --hub nowhere", exitUsage, "write host:port"},
		{"CID_MSG_DATA --hub 127.0.0.1:65536", exitUsage, `"127.0.0.1:65536" has no port from 1 to 65535; write host:port`},
		{"CID_MSG_DATA --proxy here", exitUsage, "write the address of a client"},
		{"CID_MSG_DATA --cert x", exitUsage, "--cert and --key belong together"},
		{"CID_MSG_DATA --hub 127.0.0.1:1 --ca " + empty, exitData, "has no certificate"},
		{"CID_MSG_DATA --hub 127.0.0.1:1 --ca " + empty + ".pem", exitData, "no such file"},
		{"CID_MSG_DATA --hub 127.0.0.1:1 --cert " + empty + " --key " + empty, exitData, "PEM"},
		{"CID_MSG_DATA --config " + anyPort, exitUsage, "say which by --hub"},
	} {
		_, stderr := sends(t, c.code, strings.Fields(c.args)...)
		says(t, stderr, c.says)
	}
}

func TestSendCompletes(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"CID_MSG_D", "CID_MSG_DATA\n"},
		{"CID_SWITCH_P2P_CMD\x00", "from_user_id=\nto_user_id=\ncmd_msg_data=\n"},
	} {
		var out strings.Builder
		run(append([]string{"__complete", "send"}, strings.Split(c.args, "\x00")...), nil, &out, io.Discard)
		says(t, out.String(), c.want)
	}
}

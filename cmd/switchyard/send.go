package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"switchyard/pdu"
	"switchyard/pdu/message"
	"switchyard/pdu/pb"
	"switchyard/policy/command"
	"switchyard/proxy/cases"
)

// send plays a msg_server for one PDU, to see what a hub does with it:
//
//	pdus     what the flags announce (master, users), then the PDU of the arguments
//	target   which hub, and how: TLS, PROXY header
//	write    all of them; each is printed to stderr when it is sent
//	answers  what comes back is printed to stdout, until --expect, --wait, a signal, or the hub's end

// writeTime is how long a hub may take to accept the PDUs, whatever --wait says.
const writeTime = 10 * time.Second

// sendOptions are the flags of send.
type sendOptions struct {
	targetOptions
	service, hex, expect string
	seq                  uint16
	master               bool
	users                []string
	wait                 time.Duration
	asJSON               bool

	awaited pdu.CommandID // that --expect names
	probe   time.Duration // how long to wait for an answer in HTTP
}

// sendCommand sends one PDU to a hub, as a msg_server does.
func sendCommand(o *options, stdout, stderr io.Writer) *cobra.Command {
	s := sendOptions{probe: 250 * time.Millisecond}
	c := &cobra.Command{
		Use:   "send COMMAND [FIELD=VALUE...]",
		Short: "Send one PDU to a hub as a msg_server, and print what comes back",
		Long: "Connect to a hub as a msg_server, send one PDU, and print what comes back until --wait is over.\n\n" +
			"COMMAND is a name or an id such as 0x0301. Fields are written by name: numbers in decimal or\n" +
			"as 0x2a, text as it is, bytes as text, hex:DIGITS or file:PATH, values of enumerations by name\n" +
			"or number, a message as {FIELD=VALUE,...}, a repeated field several times or as [1, 2].\n" +
			"A single argument that begins with { is the body in JSON, as 'switchyard tap --bodies' prints it.\n\n" +
			"Without --hub it sends to the first listener of the configuration, by TLS if that has a\n" +
			"certificate. The contexts of 'switchyard context' name admin interfaces, so it does not use them.\n" +
			"While it is connected, the hub counts it as a peer and sends it every broadcast.\n\n" +
			"It exits with 0 if the PDU was sent and, with --expect, the answer came; 1 if the hub closed\n" +
			"the connection; 69 if no hub can be reached; and 75 if the expected answer did not come.",
		Example: "  switchyard send CID_BUDDY_LIST_USERS_STATUS_REQUEST user_id=1 user_id_list=7 \\\n" +
			"    --expect CID_BUDDY_LIST_USERS_STATUS_RESPONSE\n" +
			"  switchyard send CID_OTHER_ONLINE_USER_INFO \\\n" +
			"    'user_stat_list={user_id=7,status=\"USER_STATUS_ONLINE\",client_type=0x12}' --master",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{fmt.Errorf("send needs a COMMAND, as in 'switchyard send CID_OTHER_HEARTBEAT'; see '%s --help'", c.CommandPath())}
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return completeSend(o, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			return s.run(c.Context(), o, args, stdout, stderr)
		},
	}
	f := c.Flags()
	f.StringVar(&s.service, "service", "", "`service` of the PDU, by name or id (default the command's)")
	f.Uint16Var(&s.seq, "seq", 0, "sequence `number` of the PDU")
	f.StringVar(&s.hex, "hex", "", "body as hex `digits` instead of fields")
	f.BoolVar(&s.master, "master", false, "say before that this msg_server is the master")
	f.StringSliceVar(&s.users, "user", nil, "announce before that these `users` are online here, on a PC, by number")
	f.DurationVar(&s.wait, "wait", time.Second, "how long to wait for what comes back")
	f.StringVar(&s.expect, "expect", "", "end as soon as this `command` comes back, and exit 75 if it does not")
	jsonFlag(c, &s.asJSON, "print lines of JSON")
	s.targetOptions.flags(c)
	return o.named(c)
}

// completeSend completes the name of the command, and then the names of its fields, with = behind
// them.
func completeSend(o *options, args []string) (words []string, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		return o.completeCommands(nil, nil, "")
	}
	_ = o.useCommands() // a completion has nowhere to report a fault
	id, problem := command.ID(args[0])
	if t := message.Type(id); problem == nil && t != nil {
		for _, name := range message.Names(t.Descriptor().Fields()) {
			words = append(words, name+"=")
		}
	}
	return words, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

// run sends the PDU and prints until the wait is over, the answer has come, or a signal. One deadline
// of the connection ends the wait in all three cases, so that a single read loop suffices.
func (s *sendOptions) run(ctx context.Context, o *options, args []string, stdout, stderr io.Writer) error {
	pdus, err := s.pdus(args)
	if err != nil {
		return err
	}
	target, err := s.target(o)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	conn, err := target.Dial(ctx)
	if err != nil {
		return unavailableError{fmt.Errorf("%w; does a hub listen there, and in this way? See '--hub', '--tls' and '--proxy' in 'switchyard send --help'", err)}
	}
	defer conn.Close()
	begun := time.Now()
	conn.SetReadDeadline(begun.Add(s.wait))
	conn.SetWriteDeadline(begun.Add(max(s.wait, writeTime)))
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(begun) })()
	unsent := s.write(conn, pdus, stderr)
	// A hub that does not read has nothing to say, either.
	if errors.Is(unsent, os.ErrDeadlineExceeded) {
		return unsent
	}
	// A hub that closes the connection meanwhile may have sent something before.
	if err := s.answers(ctx, conn, begun, stdout, stderr); err != nil {
		return err
	}
	return unsent
}

// write sends the PDUs, and prints those that were sent as a whole.
func (s *sendOptions) write(conn net.Conn, pdus [][]byte, stderr io.Writer) error {
	for _, p := range pdus {
		command := pdu.ParseHeader(p).Command
		if _, err := conn.Write(p); err != nil {
			return unavailableError{fmt.Errorf("%v was not sent as a whole: %w; does the hub still read from its peers? See its log", command, err)}
		}
		s.print(stderr, "sent", p)
		if m := message.Read(command, p[pdu.HeaderLen:]); m != nil && proto.CheckInitialized(m.Interface()) != nil {
			fmt.Fprintf(stderr, "its body lacks required fields of %s, so that a receiver may refuse it\n", m.Descriptor().FullName())
		}
	}
	return nil
}

// pdus returns the PDUs to send: what the flags announce, and the one that the arguments describe.
func (s *sendOptions) pdus(args []string) (all [][]byte, err error) {
	if s.wait < 0 {
		return nil, usageError{fmt.Errorf("--wait %v is negative", s.wait)}
	}
	if s.expect != "" {
		var problem *command.Problem
		if s.awaited, problem = command.ID(s.expect); problem != nil {
			return nil, usageError{fmt.Errorf("--expect: %w", problem)}
		}
	}
	users, err := numbers("--user", s.users, math.MaxUint32)
	if err != nil {
		return nil, err
	}
	if s.master {
		all = append(all, message.Append(nil, pdu.CID_OTHER_ROLE_SET, 0, &pb.IMRoleSet{Master: proto.Uint32(1)}))
	}
	if len(users) > 0 {
		m := new(pb.IMOnlineUserInfo)
		for _, user := range users {
			m.UserStatList = append(m.UserStatList, &pb.ServerUserStat{UserId: proto.Uint32(uint32(user)),
				Status: pb.UserStatType_USER_STATUS_ONLINE.Enum(), ClientType: pb.ClientType_CLIENT_TYPE_WINDOWS.Enum()})
		}
		all = append(all, message.Append(nil, pdu.CID_OTHER_ONLINE_USER_INFO, 0, m))
	}
	p, err := s.pdu(args)
	return append(all, p), err
}

// pdu returns the PDU that the arguments describe.
func (s *sendOptions) pdu(args []string) ([]byte, error) {
	id, problem := command.ID(args[0])
	if problem != nil {
		return nil, usageError{problem}
	}
	service := id.Service()
	if s.service != "" {
		if service, problem = command.Service(s.service); problem != nil {
			return nil, usageError{fmt.Errorf("--service: %w", problem)}
		}
	}
	body, err := s.body(id, args[1:])
	if err != nil {
		return nil, usageError{err}
	}
	return pdu.Append(nil, service, id, s.seq, body), nil
}

// body encodes the body from fields, JSON or hex digits. Fields are written as in test cases, and
// JSON is what tap prints, so that what was seen can be sent again.
func (s *sendOptions) body(id pdu.CommandID, fields []string) (body []byte, err error) {
	switch {
	case s.hex != "" && len(fields) > 0:
		return nil, errors.New("fields and --hex are two ways to write the body; keep one")
	case s.hex != "":
		if body, err = cases.Hex(s.hex); err != nil {
			return nil, fmt.Errorf("--hex: %w; write two hex digits for each byte", err)
		}
		return body, nil
	case len(fields) == 1 && strings.HasPrefix(fields[0], "{"):
		if body, err = message.FromJSON(id, []byte(fields[0])); err != nil {
			return nil, fmt.Errorf("the body in JSON: %w; write it as 'switchyard tap --bodies' does", err)
		}
		return body, nil
	case len(fields) == 0:
		return nil, nil
	}
	values, err := cases.Assign(id, fields)
	if err == nil {
		body, _, err = cases.Body(id, values)
	}
	return body, err
}

// mostPDU is the largest length that peer.max_pdu can allow, in bytes. What SSH and HTTP servers
// send, read as a length, is above it.
const mostPDU = 1 << 30

// answers prints what comes back, until the deadline of conn, which also ends with ctx. The error says
// why it did not end as it should:
//
//	what ends it                                        exit code
//	the command of --expect has come back               0
//	the deadline or a signal, without --expect          0
//	the deadline or a signal, with --expect             75
//	the hub has closed the connection                   1
//	bytes that are not a PDU, or an answer in HTTP      69
func (s *sendOptions) answers(ctx context.Context, conn net.Conn, begun time.Time, stdout, stderr io.Writer) error {
	came := 0
	for r := pdu.NewReader(conn, mostPDU); ; {
		batch, err := r.ReadBatch()
		for len(batch) > 0 {
			n := int(pdu.ParseHeader(batch).Length) // ReadBatch returns whole PDUs only
			p := batch[:n]
			batch = batch[n:]
			came++
			if err := s.print(stdout, "received", p); err != nil {
				return err
			}
			if s.expect != "" && pdu.ParseHeader(p).Command == s.awaited {
				return nil
			}
		}
		var length *pdu.LengthError
		switch {
		case err == nil:
		case errors.As(err, &length):
			return unavailableError{fmt.Errorf("what listens at %s sends no PDUs: %w; name a hub by --hub", conn.RemoteAddr(), err)}
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("the hub closed the connection after %v: %w; its log says why", time.Since(begun).Round(time.Millisecond), err)
		case s.expect != "" && ctx.Err() != nil:
			return notYetError{fmt.Errorf("interrupted after %v, before %v came back; %d other PDUs did", time.Since(begun).Round(time.Millisecond), s.awaited, came)}
		case ctx.Err() != nil:
			return nil
		case came == 0 && s.answersHTTP(conn):
			return unavailableError{fmt.Errorf("what listens at %s is not a hub but an HTTP server, such as the admin interface; name a hub by --hub", conn.RemoteAddr())}
		case s.expect != "":
			return notYetError{fmt.Errorf("%v did not come back within %v, %d other PDUs did; see the command in 'switchyard tap', or wait longer by --wait", s.awaited, s.wait, came)}
		case came == 0:
			fmt.Fprintf(stderr, "nothing came back within %v; what goes to other peers does not come back\n", s.wait)
			return nil
		default:
			return nil
		}
	}
}

// answersHTTP reports whether the other end speaks HTTP: it says what is wrong with an empty line behind a
// PDU. To a hub that is the beginning of another PDU, which it discards when the connection ends.
func (s *sendOptions) answersHTTP(conn net.Conn) bool {
	conn.SetDeadline(time.Now().Add(s.probe))
	if _, err := io.WriteString(conn, "\r\n\r\n"); err != nil {
		return false
	}
	answer := make([]byte, len("HTTP/"))
	_, err := io.ReadFull(conn, answer)
	return err == nil && string(answer) == "HTTP/"
}

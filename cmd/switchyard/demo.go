package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/demo"
	"switchyard/cmd/switchyard/dial"
	"switchyard/cmd/switchyard/server"
	"switchyard/cmd/switchyard/trial"
	"switchyard/proxy/config"
)

// A demo is a whole hub in this process, with simulated msg_servers (package demo) in place of real
// ones:
//
//	openDemoFolder   configuration, table, token: files that a reader may edit while it runs
//	server.Embed     the hub, in a goroutine that serve waits for
//	introduce        prints where everything is
//	demo.Run         the msg_servers, until --for, Ctrl-C or the end of the hub
//	conclude         prints what they did; then the hub drains, so that nothing is discarded

// demoOptions are the flags of demo.
type demoOptions struct {
	time                 time.Duration
	servers, users, rate int

	usual   usualAddresses
	program string // how the commands that are printed call switchyard
}

// demoCommand serves a hub with simulated msg_servers.
func demoCommand(stdout, stderr io.Writer) *cobra.Command {
	standard := config.Default()
	d := demoOptions{program: programName(os.Args[0]), usual: usualAddresses{standard.Listeners[0].Address, standard.Admin.Address}}
	c := &cobra.Command{
		Use:   "demo [FOLDER]",
		Short: "Try Switchyard: serve a hub with simulated msg_servers and users",
		Long: "Serve a hub with simulated msg_servers, whose users log in and out, write to each other and to\n" +
			"groups, and now and then send what a hub has to drop; connections get lost, too. It prints the\n" +
			"addresses, the routing table to edit, and commands to try in another terminal.\n\n" +
			"It ends after --for or by Ctrl-C. The files are in a temporary folder, which is removed at the\n" +
			"end, or in FOLDER, which stays: there the table of an earlier demo is used again. It listens on\n" +
			"the loopback only, on other ports if the usual ones are taken.",
		Example: "  switchyard demo\n  switchyard demo --for 1h --rate 500 --servers 10 --users 2000 /tmp/demo",
		Args:    optional("FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := d.check(c); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			return d.run(ctx, strings.Join(args, ""), stdout, stderr)
		},
	}
	f := c.Flags()
	f.DurationVar(&d.time, "for", 10*time.Minute, "end after this time (1s to 24h)")
	f.IntVar(&d.servers, "servers", 4, "`number` of msg_servers (1 to 100)")
	f.IntVar(&d.users, "users", 200, "`number` of their users (1 to 100000)")
	f.IntVar(&d.rate, "rate", 50, "`PDUs` a second that all of them send (1 to 10000)")
	return c
}

// programName returns how to call this program again: what 'go run' has built is gone afterwards.
func programName(called string) string {
	if strings.Contains(called, string(filepath.Separator)+"go-build") {
		return "go run ./cmd/switchyard"
	}
	return called
}

// mostDemo is how long a demo may last.
const mostDemo = 24 * time.Hour

// check finds errors in the command line before anything is made. The flags of other commands about
// the configuration are refused, because a demo writes its own.
func (d *demoOptions) check(c *cobra.Command) error {
	for _, name := range []string{"config", "set", "listen", "policy"} {
		if c.Flags().Changed(name) {
			return usageError{fmt.Errorf("--%s does not go with demo, which writes a configuration of its own; change that while it runs, or use 'switchyard serve'", name)}
		}
	}
	if d.time < time.Second || d.time > mostDemo {
		return usageError{fmt.Errorf("--for %v: write a time from 1s to 24h", d.time)}
	}
	for _, f := range []struct {
		name        string
		value, most int
	}{{"servers", d.servers, 100}, {"users", d.users, 100_000}, {"rate", d.rate, 10_000}} {
		if f.value < 1 || f.value > f.most {
			return usageError{fmt.Errorf("--%s %d: write a number from 1 to %d", f.name, f.value, f.most)}
		}
	}
	return nil
}

// portTries is how often a demo looks for free ports, should another process take them before it
// listens.
const portTries = 3

// run serves until ctx is done, the time is over, or the hub ends.
func (d *demoOptions) run(ctx context.Context, folder string, stdout, stderr io.Writer) (err error) {
	f, err := openDemoFolder(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	for try := 1; ; try++ {
		if err := f.write(d.usual); err != nil {
			return err
		}
		served := false
		err := d.serve(ctx, f, stdout, stderr, &served)
		// Only a hub that has never listened may begin again: peers and readers would notice
		// otherwise.
		if _, taken := errors.AsType[server.UnavailableError](err); !taken || served || try == portTries {
			return err
		}
	}
}

// serve runs the hub in a goroutine that it waits for, and the fleet in this one. served tells
// whether the hub has listened.
func (d *demoOptions) serve(ctx context.Context, f *demoFolder, stdout, stderr io.Writer, served *bool) error {
	hub, drain := context.WithCancel(context.WithoutCancel(ctx))
	defer drain()
	load := func() (*config.Config, string, error) {
		c, err := config.Load(f.config(), nil, nil)
		return c, "written by demo", err
	}
	serving, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- server.Embed(hub, load, trial.New(), stderr, func() { close(serving) }) }()
	select {
	case err := <-ended:
		return err
	case <-serving:
	}
	*served = true
	d.introduce(f, stdout)
	talking, stop := context.WithTimeout(ctx, d.time)
	defer stop()
	totals := make(chan demo.Totals, 1)
	go func() {
		totals <- demo.Run(talking, demo.Options{Servers: d.servers, Users: d.users, Rate: d.rate, Seed: uint64(time.Now().UnixNano()),
			Dial: func(ctx context.Context) (net.Conn, error) { return dial.Target{Address: f.hub}.Dial(ctx) }})
	}()
	var err error
	select {
	case <-talking.Done():
		d.conclude(<-totals, stdout) // before the hub drains, so that nothing is discarded
		drain()
		err = <-ended
	case err = <-ended: // an operator has stopped the hub
		stop()
		d.conclude(<-totals, stdout)
	}
	return err
}

// introduce says what there is, and what to do with it: commands that can be pasted into another
// terminal, each of which shows another side of the hub.
func (d *demoOptions) introduce(f *demoFolder, w io.Writer) {
	until := time.Now().Add(d.time).Format("15:04:05")
	fmt.Fprintf(w, "A hub with %d simulated msg_servers and %d users, who send about %d PDUs a second,\nuntil %s (%v) or Ctrl-C.\n\n", d.servers, d.users, d.rate, until, d.time)
	for _, taken := range f.taken {
		fmt.Fprintf(w, "%s is taken, so it listens on another port.\n", taken)
	}
	fmt.Fprintf(w, "  hub        %s\n  dashboard  http://%s/\n  table      %s (saved changes take effect at once)\n  folder     %s\n\n", f.hub, f.admin, f.table(), f.describe())
	fmt.Fprintf(w, "Try in another terminal:\n\n  export SWITCHYARD_CONFIG=%s\n", shellWord(f.config()))
	for _, command := range []string{
		"top",
		"tap --bodies --count 20",
		"capture --bodies --time 5s -o " + shellWord(filepath.Join(f.path, "demo.pcapng")),
		"send CID_BUDDY_LIST_USERS_STATUS_REQUEST user_id=1 'user_id_list=[1, 2, 3]' --expect CID_BUDDY_LIST_USERS_STATUS_RESPONSE",
		"policy history",
	} {
		fmt.Fprintf(w, "  %s %s\n", d.program, command)
	}
	fmt.Fprintln(w)
}

// shellWord returns a text as one word of a shell: as it is, or in single quotes, within which
// nothing has a meaning but another single quote.
func shellWord(text string) string {
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// conclude says what the msg_servers have done.
func (d *demoOptions) conclude(t demo.Totals, w io.Writer) {
	fmt.Fprintf(w, "The msg_servers have sent %d PDUs, received %d, and lost %d connections.\n", t.Sent, t.Received, t.Lost)
}

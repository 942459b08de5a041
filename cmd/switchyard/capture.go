package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"switchyard/policy/command"
	"switchyard/proxy/capture"
	"switchyard/proxy/config"
)

// The recording is made by the server (package proxy/capture), which streams it as pcapng while it
// records. This file bounds it, and writes it so that what is in the file is sound at any time:
//
//	check ─▶ run ─▶ GET /api/v1/capture ─▶ save ─▶ copy ─▶ a temporary file, then its name
//	                                   └─▶ copy ─▶ standard output, with -o -

// captureBytes is the default size limit of a capture.
const captureBytes = "64MiB"

// captureOptions are the flags of capture. Those about what is recorded are checked here as far as
// that needs no server, and again by the server.
type captureOptions struct {
	tenants, redact, commands []string
	headers, bodies           bool
	pdus                      uint64
	bytes                     string
	time                      time.Duration
	out                       string
	asJSON                    bool
}

// captureCommand records the PDUs that peers of a running Switchyard send.
func captureCommand(o *options, stdout, stderr io.Writer) *cobra.Command {
	var r captureOptions
	c := &cobra.Command{
		Use:   "capture -o FILE",
		Short: "Record the PDUs that peers of the running Switchyard send, for Wireshark and replay",
		Long: "Record the PDUs that peers of the running Switchyard send, for Wireshark and replay.\n\n" +
			"It asks the server that runs with this configuration, at admin.socket or admin.address.\n" +
			"Capture ends at the first limit, or when interrupted; what was recorded until then is kept.",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := r.check(); err != nil {
				return err
			}
			return r.run(c.Context(), o, stdout, stderr)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&r.tenants, "tenant", nil, "`name` of a tenant to record; may be repeated (default all)")
	f.BoolVar(&r.headers, "headers", false, "record only the headers of PDUs (the default)")
	f.BoolVar(&r.bodies, "bodies", false, "record bodies, too; they include what users write")
	f.StringArrayVar(&r.redact, "redact", nil, "zero the values of a body's `COMMAND.field`, or COMMAND.* for all; may be repeated")
	f.StringSliceVar(&r.commands, "commands", nil, "record only these `commands`, by name or as 0x0301")
	f.Uint64Var(&r.pdus, "pdus", 0, "end after this `number` of PDUs (default no limit)")
	f.StringVar(&r.bytes, "bytes", captureBytes, "end before the file exceeds this `size`; 0B means no limit")
	f.DurationVar(&r.time, "time", time.Minute, "end after this time; 0 means no limit")
	f.StringVarP(&r.out, "output", "o", "", "`FILE` to write, or - for standard output")
	o.serverFlags(c, false)
	jsonFlag(c, &r.asJSON, "print JSON about what was recorded, at the end")
	c.RegisterFlagCompletionFunc("commands", o.completeCommands)
	c.RegisterFlagCompletionFunc("tenant", o.completeTenants)
	return o.named(c)
}

// check finds errors in the command line before anything is requested. That includes the folder of
// -o: a recording that cannot be written would be lost after it was made.
func (r *captureOptions) check() error {
	switch {
	case r.out == "":
		return usageError{errors.New("capture needs a file: write -o FILE, or -o - for standard output")}
	case r.headers && r.bodies:
		return usageError{errors.New("--headers and --bodies exclude each other; choose one")}
	case len(r.redact) > 0 && !r.bodies:
		return usageError{errors.New("--redact is about bodies, which are not recorded; add --bodies")}
	case r.time < 0:
		return usageError{fmt.Errorf("--time %v is negative", r.time)}
	}
	if r.out != "-" {
		out, err := replaceable(r.out)
		if err != nil {
			return usageError{fmt.Errorf("capture: %w", err)}
		}
		r.out = out
		if err := checkFolder(filepath.Dir(out)); err != nil {
			return dataError{fmt.Errorf("capture: %w; nothing was recorded", err)}
		}
	}
	for _, text := range r.redact {
		if _, err := capture.ParseField(text); err != nil {
			return usageError{fmt.Errorf("--redact: %w", err)}
		}
	}
	for _, text := range r.commands {
		if _, err := command.ID(text); err != nil {
			return usageError{fmt.Errorf("--commands: %w", err)}
		}
	}
	return nil
}

// checkFolder finds out whether a file can be written in the folder, by doing so.
func checkFolder(folder string) error {
	f, err := os.CreateTemp(folder, ".capture-*")
	if err != nil {
		return fmt.Errorf("no file can be written in the folder of -o: %w", err)
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// query returns the options as the query of a request. Names of tenants are not checked here, as only
// the server knows them; what the server refuses is a usage error as well.
func (r *captureOptions) query() (url.Values, error) {
	var size config.Size
	if err := size.UnmarshalText([]byte(r.bytes)); err != nil || size < 0 {
		return nil, usageError{fmt.Errorf("--bytes %s: write a size such as %s", r.bytes, captureBytes)}
	}
	return url.Values{
		"tenant": r.tenants, "commands": r.commands, "redact": r.redact,
		"bodies": {strconv.FormatBool(r.bodies)},
		"pdus":   {strconv.FormatUint(r.pdus, 10)},
		"bytes":  {strconv.FormatInt(int64(size), 10)},
		"time":   {r.time.String()},
	}, nil
}

// run asks the server for a capture, which it streams while it records. The first signal ends the
// recording: ctx ends the request, and copy keeps what has come.
func (r *captureOptions) run(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	query, err := r.query()
	if err != nil {
		return err
	}
	client, err := o.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	body, err := client.Open(ctx, "/api/v1/capture", query)
	if err != nil {
		return serverError(err)
	}
	defer body.Close()
	// It goes to stderr, because stdout may be the capture.
	fmt.Fprintln(stderr, "recording; interrupt to end it")
	if r.out == "-" {
		return r.copy(ctx, stdout, stderr, body)
	}
	return r.save(ctx, stdout, body)
}

// save writes the capture to a temporary file, readable only by its owner, and renames it
// once the capture has ended.
func (r *captureOptions) save(ctx context.Context, report io.Writer, body io.Reader) error {
	// os.CreateTemp makes it readable by its owner alone: bodies have what users write.
	f, err := os.CreateTemp(filepath.Dir(r.out), ".capture-*")
	if err != nil {
		return fmt.Errorf("save the capture: %w", err)
	}
	defer os.Remove(f.Name()) // does nothing after the rename
	defer f.Close()
	copied := r.copy(ctx, f, report, body)
	if copied != nil && !errors.Is(copied, errCutOff) {
		return copied
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("save the capture: %w", err)
	}
	if err := os.Rename(f.Name(), r.out); err != nil {
		return fmt.Errorf("save the capture: %w", err)
	}
	return copied
}

// copy copies the capture and reports its statistics. It copies whole blocks, so out is a sound
// capture however the copy ends:
//
//	a limit was reached      the statistics say which                no error
//	the user interrupted     "interrupted"                           no error
//	the server ended, or     some statistics do not say why          errCutOff; what came is kept
//	cut the answer
//	the answer is no         the reader's error                      nothing is saved
//	capture
func (r *captureOptions) copy(ctx context.Context, out, report io.Writer, body io.Reader) error {
	// The reader checks every block, so that out never gets the beginning of one.
	in := capture.NewReader(body)
	err := in.Copy(out)
	cut, isFormat := errors.AsType[*capture.FormatError](err)
	interrupted := ctx.Err() != nil
	switch {
	case interrupted: // the user asked for no more
		err = nil
	case isFormat && cut.Cut:
		err = errCutOff
	}
	var recorded []recordedTenant
	for i, t := range in.Tenants() {
		s := in.Statistics(i)
		switch {
		case interrupted:
			s.Ended = "interrupted"
		case s.Ended == "" && err == nil:
			err = errCutOff
		}
		recorded = append(recorded, recordedTenant{t.Name, s.PDUs, s.Missed, s.Ended})
	}
	r.print(report, recorded)
	return err
}

// A recordedTenant is what capture prints about a tenant, also as JSON. Its names do not change.
type recordedTenant struct {
	Tenant string `json:"tenant"`
	PDUs   uint64 `json:"pdus"`
	Missed uint64 `json:"missed"`
	Ended  string `json:"ended"` // why; empty if it was cut off
}

// print prints what was recorded.
func (r *captureOptions) print(w io.Writer, recorded []recordedTenant) {
	if r.asJSON {
		printJSON(w, struct {
			Tenants []recordedTenant `json:"tenants"`
		}{append([]recordedTenant{}, recorded...)})
		return
	}
	for _, t := range recorded {
		fmt.Fprintf(w, "tenant %s: %d PDUs, %d missed", t.Tenant, t.PDUs, t.Missed)
		if t.Ended != "" {
			fmt.Fprintf(w, "; ended: %s", t.Ended)
		}
		fmt.Fprintln(w)
	}
}

var errCutOff = errors.New("the capture was cut off: the server ended, or this was too slow for it; what came until then is kept")

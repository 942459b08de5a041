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

// captureBytes is how large a capture becomes unless it is told otherwise.
const captureBytes = "64MiB"

// A recording is what capture is asked for.
type recording struct {
	tenants, redact, commands []string
	headers, bodies           bool
	pdus                      uint64
	bytes                     string
	time                      time.Duration
	out                       string
	token                     string
}

// captureCommand records what the peers of a running Switchyard say.
func captureCommand(o *options, stdout, stderr io.Writer) *cobra.Command {
	var r recording
	c := &cobra.Command{
		Use:   "capture -o FILE",
		Short: "Record what peers of the running Switchyard say, for Wireshark and replay",
		Long: "Record what peers of the running Switchyard say, for Wireshark and replay.\n\n" +
			"It asks the one that serves with this configuration, at admin.socket or admin.address.\n" +
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
	f.BoolVar(&r.headers, "headers", false, "record the headers of PDUs alone (the default)")
	f.BoolVar(&r.bodies, "bodies", false, "record bodies, too: what users write is among them")
	f.StringArrayVar(&r.redact, "redact", nil, "zero the values of a body's `COMMAND.field`, or COMMAND.* for all; may be repeated")
	f.StringSliceVar(&r.commands, "commands", nil, "record these `commands` alone, by name or as 0x0301")
	f.Uint64Var(&r.pdus, "pdus", 0, "end after so many PDUs (default no limit)")
	f.StringVar(&r.bytes, "bytes", captureBytes, "end before the file is larger; 0B is no limit")
	f.DurationVar(&r.time, "time", time.Minute, "end after this time; 0 is no limit")
	f.StringVarP(&r.out, "output", "o", "", "`FILE` to write, or - for standard output")
	tokenFlag(c, &r.token)
	return c
}

// check finds what is wrong with the command line before anybody is asked.
func (r *recording) check() error {
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

// query spells what is asked for as admin reads it.
func (r *recording) query() (url.Values, error) {
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

func (r *recording) run(ctx context.Context, o *options, stdout, stderr io.Writer) error {
	query, err := r.query()
	if err != nil {
		return err
	}
	client, err := o.connect(r.token)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	body, err := client.Open(ctx, "/api/v1/capture", query)
	if err != nil {
		return asked(err)
	}
	defer body.Close()
	fmt.Fprintln(stderr, "recording; interrupt to end it")
	if r.out == "-" {
		return r.copy(ctx, stdout, stderr, body)
	}
	return r.save(ctx, stdout, body)
}

// save saves the capture, under its name once it has ended. What it holds is for
// its owner alone.
func (r *recording) save(ctx context.Context, report io.Writer, body io.Reader) error {
	f, err := os.CreateTemp(filepath.Dir(r.out), ".capture-*")
	if err != nil {
		return fmt.Errorf("save the capture: %w", err)
	}
	defer os.Remove(f.Name()) // it has another name by then, if all went well
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

// copy copies the capture and tells what came of it.
func (r *recording) copy(ctx context.Context, out, report io.Writer, body io.Reader) error {
	in := capture.NewReader(body)
	err := in.Copy(out)
	cut, isFormat := errors.AsType[*capture.FormatError](err)
	interrupted := ctx.Err() != nil
	switch {
	case interrupted: // what is there is meant to be all
		err = nil
	case isFormat && cut.Cut:
		err = errCutOff
	}
	for i, t := range in.Tenants() {
		s := in.Statistics(i)
		switch {
		case interrupted:
			s.Ended = "interrupted"
		case s.Ended == "" && err == nil:
			err = errCutOff
		}
		fmt.Fprintf(report, "tenant %s: %d PDUs, %d missed", t.Name, s.PDUs, s.Missed)
		if s.Ended != "" {
			fmt.Fprintf(report, "; ended: %s", s.Ended)
		}
		fmt.Fprintln(report)
	}
	return err
}

var errCutOff = errors.New("the capture was cut off, as the server ended or did not get rid of it in time; what came until then is kept")

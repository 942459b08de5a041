//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"switchyard/cmd/yardbench/hostile"
	"switchyard/cmd/yardbench/load"
	"switchyard/cmd/yardbench/process"
)

// A soak runs Switchyard for a long time with one tenant that must not notice anything, the
// neighbour, and others whose peers and policies misbehave. Files are saved all the time:
//
//	quiet:    neighbour alone                 its p99, to compare with
//	hostile:  neighbour, hostile.Play, saves  settle │ samples of what it uses
//
// It passes if the neighbour lost nothing and the samples did not grow.
type soak struct {
	duration time.Duration
	quiet    time.Duration
	settle   time.Duration
	stdout   io.Writer
	address  string // of the hub
	pid      int    // of the hub
	files    *saver
}

// soakCommand runs a soak. It fails if anything grew or the neighbour lost a message.
func soakCommand(stdout io.Writer) *cobra.Command {
	s := soak{stdout: stdout}
	c := &cobra.Command{
		Use:   "soak",
		Short: "Run Switchyard for long beside hostile peers and policies, and see that nothing grows",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return s.run(c.Context()) },
	}
	c.Flags().DurationVar(&s.duration, "duration", 20*time.Minute, "`time` with hostile peers")
	c.Flags().DurationVar(&s.quiet, "quiet", 20*time.Second, "`time` without them before, to compare latencies")
	c.AddCommand(attackCommand(stdout))
	return c
}

// attackCommand is the process that plays the hostile peers: one of its own and of low
// priority, so that it costs the neighbour's generator little time.
func attackCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:    "attack address",
		Short:  "Play the hostile peers of a soak",
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("%d addresses of hubs; write one", len(args))}
			}
			syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10)
			var counts hostile.Counts
			hostile.Play(c.Context(), args[0], &counts)
			_, err := fmt.Fprintln(stdout, &counts)
			return err
		},
	}
}

// run builds and starts the hub, plays the soak against it, and stops it in any case.
func (s *soak) run(ctx context.Context) error {
	if s.duration < time.Second || s.quiet < time.Second {
		return usageError{fmt.Errorf("%v and %v quiet are not a soak; write at least 1s each", s.duration, s.quiet)}
	}
	s.settle = min(2*time.Minute, s.duration/4)
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "yardbench")
	if err != nil {
		return fmt.Errorf("make a folder for the soak: %w", err)
	}
	defer os.RemoveAll(dir)
	if s.files, err = newSaver(root, dir); err != nil {
		return err
	}
	hub, err := buildSwitchyard(ctx, root, dir, identity{})
	if err != nil {
		return err
	}
	server, err := process.Start(ctx, dir, []string{hub.command[0], "--config", s.files.configuration(), "--set", "listener.0.address=" + process.Address})
	if err != nil {
		return err
	}
	s.address, s.pid = server.Address, server.PID()
	fmt.Fprintf(s.stdout, "switchyard  %s, %d modules, for %v\n", hub.version, len(s.files.modules), s.duration)
	err = s.play(ctx)
	if ended := server.Stop(); ended != nil {
		err = errors.Join(err, ended)
	}
	return err
}

// play plays the soak against the server, and judges it. The neighbour's traffic sets the time:
// what is beside it begins before and is stopped after, so that no second of the traffic that is
// judged is without attackers.
func (s *soak) play(ctx context.Context) error {
	quiet, err := load.Run(ctx, s.neighbour(s.quiet))
	if err != nil {
		return err
	}
	sampler := newSampler(s.pid, s.files.socket())
	stop, err := s.attack(ctx)
	if err != nil {
		return err
	}
	playing, cancel := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { s.files.saveAll(playing) })
	beside.Go(func() { sampler.run(playing, s.settle, s.stdout) })
	during, err := load.Run(ctx, s.neighbour(s.duration))
	cancel()
	beside.Wait()
	attackers := stop()
	if err != nil {
		return err
	}
	fmt.Fprintf(s.stdout, "attackers   %ssaved       %d files, %d of them configurations\n", attackers, s.files.saved, s.files.reloads)
	fmt.Fprintf(s.stdout, "quiet       %s\nhostile     %s\n", latency(quiet.Latency), latency(during.Latency))
	fmt.Fprintf(s.stdout, "neighbour   %d deliveries: %v, %d connections ended\n", during.Checked, during.Faults, len(during.Ended))
	sampler.printWork(s.stdout)
	flat, err := sampler.judge(s.stdout)
	switch {
	case err != nil:
		return err
	case !quiet.Sound() || !during.Sound():
		return errFaults
	case !flat:
		return errGrew
	}
	return nil
}

// neighbour is the traffic of the tenant that must not notice anything: slow enough that every delay
// is one of the hub, and on connections that last for the whole time.
func (s *soak) neighbour(d time.Duration) load.Plan {
	return load.Plan{Addresses: []string{s.address}, Connections: 8, Senders: 2, Size: 200, Rate: 500, Random: true, Warmup: time.Second, Duration: d}
}

// attack starts the hostile peers, in a process of their own that ends with this one. The function
// that it returns ends them, and returns what they have done.
func (s *soak) attack(ctx context.Context) (stop func() string, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe, "soak", "attack", s.address)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out := filepath.Join(s.files.dir, "attack.txt")
	f, err := os.Create(out)
	if err != nil {
		return nil, fmt.Errorf("keep what attackers say: %w", err)
	}
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		f.Close()
		return nil, fmt.Errorf("start attackers: %w", err)
	}
	return func() string {
		defer f.Close()
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			return fmt.Sprintf("ended with %v\n", err)
		}
		text, _ := os.ReadFile(out)
		return string(text)
	}, nil
}

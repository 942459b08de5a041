package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"switchyard/plugins/source"
	"switchyard/policy/sanitize"
	"switchyard/proxy/config/watch"
)

// --watch of policy test and policy build runs a command again whenever one of its files changes.
// Files are watched as those of the server are (package config/watch); what is new in a folder or in
// what a table extends is found by listing the files again every second.
//
//	list ─▶ watch ─▶ run ─▶ wait for a change, or for another list ─▶ run ─▶ …

// mostWatched is how many files one command watches.
const mostWatched = 2000

// relistTime is how often the files to watch are listed again, so that new ones are found.
const relistTime = time.Second

// A watched command runs again whenever a file of those that list returns has changed, appeared or
// gone. It ends when ctx does, or when run returns an error that no change of a file can mend.
type watched struct {
	list   func() ([]string, error)
	run    func(context.Context) error
	stderr io.Writer
}

// watchFlag adds --watch.
func watchFlag(c *cobra.Command, on *bool) {
	c.Flags().BoolVar(on, "watch", false, "do it again whenever a file changes, until Ctrl-C")
}

// untilSignal watches until a signal, which is not an error.
func (w watched) untilSignal(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process
	return w.loop(ctx)
}

func (w watched) loop(ctx context.Context) error {
	files, err := w.list()
	if err != nil {
		return err
	}
	changes := make(chan []string, 1) // sent to by the watcher, never closed
	watcher := watch.Start(files, watch.Options{Poll: relistTime}, func(paths []string) { offer(changes, paths) })
	defer watcher.Close()
	relist := time.NewTicker(relistTime)
	defer relist.Stop()
	for {
		if err := w.run(ctx); ctx.Err() != nil {
			return nil
		} else if isLasting(err) {
			return err
		} else if err != nil {
			printErrorLines(w.stderr, err) // as the command without --watch does at its end
		}
		fmt.Fprintf(w.stderr, "watching %s; Ctrl-C ends it\n", quantity(uint64(len(files)), "file"))
		var changed []string
		// A listing without a change is not a reason to run.
		for changed == nil {
			select {
			case <-ctx.Done():
				return nil
			case changed = <-changes:
			case <-relist.C:
				changed = w.relist(watcher, &files)
			}
		}
		fmt.Fprintf(w.stderr, "\n%s %s changed\n", time.Now().Format(time.TimeOnly), namesOf(changed))
	}
}

// offer puts paths into the channel, beside those that are in it. Only the watcher's goroutine calls
// it, so there is room after it has taken what was in there.
func offer(changes chan []string, paths []string) {
	select {
	case before := <-changes:
		paths = append(before, paths...)
	default:
	}
	changes <- paths
}

// relist lists the files again, and returns those that are new or gone.
func (w watched) relist(watcher *watch.Watcher, files *[]string) (changed []string) {
	now, err := w.list()
	if err != nil || slices.Equal(now, *files) {
		return nil
	}
	for _, pair := range [][2][]string{{now, *files}, {*files, now}} {
		for _, name := range pair[0] {
			if !slices.Contains(pair[1], name) {
				changed = append(changed, name)
			}
		}
	}
	*files = now
	watcher.Set(now)
	return changed
}

// isLasting reports whether an error stays, whatever is saved: the command line is wrong, or a
// compiler is missing.
func isLasting(err error) bool { return is[usageError](err) || is[unavailableError](err) }

// namesOf lists files, a few of them.
func namesOf(files []string) string {
	const most = 3
	var names []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(files))) {
		names = append(names, sanitize.Text(filepath.Base(name)))
	}
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// policyFiles returns the files of a policy: of a table also those that it extends; of a folder those
// in it, without what compilers and tools keep there.
func policyFiles(arg string) ([]string, error) {
	if info, err := os.Stat(arg); err != nil || !info.IsDir() {
		path, isFile := strings.CutPrefix(source.Argument(arg), "file:")
		if !isFile {
			return nil, nil // a shipped one, or an address
		}
		return append([]string{path}, source.Bases(path)...), nil
	}
	var files []string
	err := filepath.WalkDir(arg, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone meanwhile, or may not be read
		}
		name := e.Name()
		switch {
		// Builds write there, and would start the next one.
		case e.IsDir() && path != arg && (strings.HasPrefix(name, ".") || name == "target" || name == "node_modules"):
			return fs.SkipDir
		case !e.Type().IsRegular(), strings.HasPrefix(name, "."), filepath.Ext(name) == ".wasm":
			return nil
		case len(files) == mostWatched:
			return usageError{fmt.Errorf("%s has more than %d files, which are too many to watch; is it the folder of one policy?", arg, mostWatched)}
		}
		files = append(files, path)
		return nil
	})
	return files, err
}

// filesOf returns the files of a policy and further ones: of an argument that is not a path, none.
func filesOf(policy string, others ...string) ([]string, error) {
	files, err := policyFiles(policy)
	for _, name := range others {
		if name != "" && !strings.HasPrefix(strings.TrimSpace(name), "{") { // --config-json may be the object itself
			files = append(files, name)
		}
	}
	return files, err
}

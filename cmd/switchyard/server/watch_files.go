package server

import (
	"slices"
	"time"

	"switchyard/cmd/switchyard/trust"
	"switchyard/plugins/source"
	"switchyard/proxy/config"
	"switchyard/proxy/config/watch"
)

// The files that a reload reads are watched, so that a saved file takes effect by itself. The watcher
// says nothing but that something has changed; the reload reads everything again and finds out what.

// A fileWatch is the watcher and what it watches.
type fileWatch struct {
	watcher *watch.Watcher // nil if files are not watched
	watched []string       // the files, also if they are not watched; nil before the start
	changed chan struct{}  // sent to by the watcher; holds one
	reading bool           // from readingAll until what it returned is called
}

// watch watches the files that the configuration consists of. If fresh, the watcher's options
// have changed, and a new one is started.
func (srv *server) watch(fresh bool) {
	if fresh && srv.watcher != nil {
		srv.watcher.Close()
		srv.watcher = nil
	}
	// Files that were not watched until now may have changed unseen, so they are read once more.
	paths := srv.filesToWatch()
	if (fresh || !slices.Equal(paths, srv.watched)) && srv.config.Reload.Watch {
		srv.checkAgain()
	}
	srv.watched = paths
	switch r := srv.config.Reload; {
	case !r.Watch:
	case srv.watcher != nil:
		srv.watcher.Set(paths)
	default:
		options := watch.Options{Debounce: time.Duration(r.Debounce), Poll: time.Duration(r.Poll)}
		srv.watcher = watch.Start(paths, options, func([]string) { srv.checkAgain() })
		if err := srv.watcher.Err(); err != nil {
			srv.log.Warn("file changes are noticed by polling only", "poll", r.Poll.String(), "error", err)
		}
	}
}

// checkAgain makes run read all files again, after what it does now. A reload that begins to watch
// files asks for it as well: they may have changed since it read them, and the watcher takes what it
// finds for known.
func (srv *server) checkAgain() {
	notice(srv.changed)
}

// readingAll prepares the watcher for a caller that reads all watched files. The caller calls read when it
// has read them. The watcher then reports a file that differs from what the caller read, even if the file
// equals what the watcher has compared it with before.
func (srv *server) readingAll() (read func()) {
	if srv.watcher == nil {
		return func() {}
	}
	noted := srv.watcher.Reading(srv.watched)
	srv.reading = true
	return func() {
		srv.reading = false
		noted()
	}
}

// readingPolicy does the same for the files of one policy. Between readingAll and read it does nothing.
func (srv *server) readingPolicy(policy string) (read func()) {
	if srv.watcher == nil || srv.reading {
		return func() {}
	}
	return srv.watcher.Reading(policyFiles(srv.config, policy))
}

// watchBases watches other files if other ones are read now: what tables extend can change with every
// save of one, and a saved configuration names others.
func (srv *server) watchBases() {
	if !slices.Equal(srv.filesToWatch(), srv.watched) {
		srv.watch(false)
	}
}

// filesToWatch returns the files of the configuration in force, and those of one that is being loaded or
// was refused: the fault may be in a file that it names, and is gone when that file is saved. The same
// files are always the same list: another one makes the server read all files again.
func (srv *server) filesToWatch() []string {
	paths := watchedFiles(srv.config)
	if srv.offered != nil {
		paths = append(paths, watchedFiles(srv.offered)...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// watchedFiles returns every file that a reload reads.
func watchedFiles(c *config.Config) []string {
	paths := append(trust.Files(c), c.Commands.Files...)
	if c.Path != "" {
		paths = append(paths, c.Path)
	}
	for _, input := range c.Inputs() {
		paths = append(paths, input.Path)
	}
	for _, t := range c.Tenants {
		paths = slices.Concat(paths, policyFiles(c, t.Policy), policyFiles(c, t.Audit))
	}
	return paths
}

// policyFiles returns the file of a policy, and those of the tables that it extends.
func policyFiles(c *config.Config, policy string) []string {
	path, ok := c.PolicyFile(policy)
	if !ok {
		return nil
	}
	return append(source.Bases(path), path)
}

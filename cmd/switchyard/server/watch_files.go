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

// watch watches the files that the configuration consists of. If fresh, the watcher's options
// have changed, and a new one is started.
func (srv *server) watch(fresh bool) {
	if fresh && srv.watcher != nil {
		srv.watcher.Close()
		srv.watcher = nil
	}
	// Files that were not watched until now may have changed unseen, so they are read once more.
	paths := watchedFiles(srv.config)
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

// watchBases watches what the tables extend now, which can change with every save of one.
func (srv *server) watchBases() {
	if !slices.Equal(watchedFiles(srv.config), srv.watched) {
		srv.watch(false)
	}
}

// watchedFiles returns every file that a reload reads.
func watchedFiles(c *config.Config) []string {
	paths := append(trust.Files(c), c.Commands.Files...)
	if c.Path != "" {
		paths = append(paths, c.Path)
	}
	sections := []config.TLS{c.Admin.TLS, c.Metrics.TLS}
	for _, l := range c.Listeners {
		sections = append(sections, l.TLS)
	}
	for _, t := range sections {
		for _, file := range []string{t.Certificate, t.Key, t.ClientCA, t.CRL} {
			if file != "" {
				paths = append(paths, c.File(file))
			}
		}
	}
	for _, t := range c.Tenants {
		for _, policy := range []string{t.Policy, t.Audit} {
			if path, ok := c.PolicyFile(policy); ok {
				paths = append(append(paths, path), source.Bases(path)...)
			}
		}
	}
	return paths
}

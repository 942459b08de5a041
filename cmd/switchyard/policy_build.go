package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"switchyard/cmd/switchyard/server"
	"switchyard/plugins/toolchain"
	"switchyard/policy"
	"switchyard/policy/statefolder"
	"switchyard/policy/wasm"
)

// buildOptions are the flags of policy build.
type buildOptions struct {
	out, config   string
	watch, asJSON bool
}

// policyBuild builds the module of a policy:
//
//	moduleName ─▶ buildModule ─▶ tryModule ─▶ writeWhole
//	               toolchain      all gates    only if everything before succeeded
//
// So the file that a server watches is replaced by nothing that the server would refuse.
func policyBuild(_ *options, stdout, stderr io.Writer) *cobra.Command {
	var b buildOptions
	c := &cobra.Command{
		Use:   "build TABLE|FOLDER",
		Short: "Build the module of a policy: of a table, or of a folder in any language",
		Long: "Build the module of a policy: of a routing table (.toml), or of a folder as 'switchyard\n" +
			"policy new' makes it, with the compiler of its language. A module that does not load is\n" +
			"not written. Exits with 65 if it does not compile, 69 if the compiler is not installed, and\n" +
			"78 if the module is refused. With --watch it builds again whenever a source changes, and\n" +
			"exits with 0 at Ctrl-C.",
		Args: exactly("TABLE or FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			if b.watch && b.out == "-" {
				return usageError{errors.New("--watch builds again and again, and standard output is one module; name a file by -o")}
			}
			if !b.watch {
				return b.run(c.Context(), args[0], stdout, stderr)
			}
			return watched{
				list:   func() ([]string, error) { return filesOf(args[0], b.config) },
				run:    func(ctx context.Context) error { return b.run(ctx, args[0], stdout, stderr) },
				stderr: stderr,
			}.untilSignal(c.Context())
		},
	}
	c.Flags().StringVarP(&b.out, "output", "o", "", "`FILE` to write, or - for standard output (default the argument's name with .wasm, in this folder)")
	configFlag(c, &b.config)
	watchFlag(c, &b.watch)
	jsonFlag(c, &b.asJSON, "print JSON about the module that was written")
	return c
}

// A builtModule is what policy build prints as JSON. Its names do not change.
type builtModule struct {
	File   string `json:"file"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
	Routes string `json:"routes"` // how many commands have which action
}

// run builds once.
func (b *buildOptions) run(ctx context.Context, arg string, stdout, stderr io.Writer) error {
	out, err := moduleName(arg, b.out)
	if err != nil {
		return err
	}
	configuration, err := readConfig(b.config)
	if err != nil {
		return err
	}
	module, err := buildModule(ctx, arg, stderr)
	if err != nil {
		return err
	}
	says, err := tryModule(out, module, configuration, stderr)
	if err != nil {
		return err
	}
	if out == "-" {
		_, err = stdout.Write(module)
		return err
	}
	if err := writeWhole(out, module); err != nil {
		return fmt.Errorf("write the module: %w", err)
	}
	built := builtModule{out, len(module), fmt.Sprintf("%x", sha256.Sum256(module)), says}
	return show(stdout, b.asJSON, built, func(w io.Writer, m builtModule) error {
		_, err := fmt.Fprintf(w, "%s: %d bytes, sha256 %s: %s\n", m.File, m.Bytes, m.SHA256, m.Routes)
		return err
	})
}

// moduleName returns the file to write the module to: out, or a name made from the argument, in the
// working directory. What is built must not be replaced by the result.
func moduleName(arg, out string) (string, error) {
	if out == "" {
		full, err := filepath.Abs(arg)
		return strings.TrimSuffix(filepath.Base(full), ".toml") + ".wasm", err
	}
	source, err := os.Stat(arg)
	if err != nil {
		return out, nil // the build reports the error
	}
	if target, err := os.Stat(out); err == nil && os.SameFile(source, target) && !source.IsDir() {
		return "", usageError{fmt.Errorf("-o %s: that is what is built; name another file", out)}
	}
	return out, nil
}

// buildModule builds the module of a table or folder; the type of its error has the exit code.
func buildModule(ctx context.Context, arg string, stderr io.Writer) ([]byte, error) {
	module, err := toolchain.Build(ctx, arg, stderr)
	if missing, ok := errors.AsType[*toolchain.MissingError](err); ok {
		return nil, unavailableError{missing}
	} else if err != nil {
		return nil, dataError{fmt.Errorf("build %s: %w", arg, err)}
	}
	return module, nil
}

// tryModule loads a module, through all gates, and returns a summary of its routes.
func tryModule(name string, module, config []byte, stderr io.Writer) (string, error) {
	engine := newEngine(wasm.DefaultLimits(), (&guestLines{stderr: stderr}).log, stderr)
	defer engine.Close()
	p, err := engine.Load(context.Background(), name, module, config)
	if err != nil {
		return "", err
	}
	g := policy.NewGeneration(name, "", p)
	defer g.Release()
	return server.Summary(g), nil
}

// writeWhole replaces a file by way of a temporary one, so that it is either complete or unchanged.
// It never replaces what is not a regular file, such as a device. Other commands that write a file of
// the user use it, too.
func writeWhole(name string, content []byte) error {
	return replaceFile(name, content, func(f *os.File) error { return f.Chmod(0o644) })
}

// replaceFile is writeWhole for a file that prepare gives its mode and owner, before it has its name.
func replaceFile(name string, content []byte, prepare func(*os.File) error) error {
	name, err := replaceable(name)
	if err != nil {
		return err
	}
	return statefolder.Exchange(name, content, prepare)
}

// replaceable returns the file that may be replaced under that name, with symbolic links
// resolved. It returns an error if that is not a regular file.
func replaceable(name string) (string, error) {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is there already, and no file; name a file", name)
	}
	return name, nil
}

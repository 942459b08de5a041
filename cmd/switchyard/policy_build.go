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
	"switchyard/policy/wasm"
)

// policyBuild builds the module of a policy.
func policyBuild(_ *options, stdout, stderr io.Writer) *cobra.Command {
	var out, config string
	c := &cobra.Command{
		Use:   "build TABLE|FOLDER",
		Short: "Build the module of a policy: of a table, or of a folder in any language",
		Long: "Build the module of a policy: of a routing table (.toml), or of a folder as 'switchyard\n" +
			"policy new' makes it, with the compiler of its language. What does not load is not\n" +
			"written. Exits with 65 if it does not compile, 69 if the compiler is not installed, and\n" +
			"78 if the module is refused.",
		Args: exactly("TABLE or FOLDER"),
		RunE: func(c *cobra.Command, args []string) error {
			out, err := moduleName(args[0], out)
			if err != nil {
				return err
			}
			configuration, err := readConfig(config)
			if err != nil {
				return err
			}
			module, err := buildModule(c.Context(), args[0], stderr)
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
			_, err = fmt.Fprintf(stdout, "%s: %d bytes, sha256 %x: %s\n", out, len(module), sha256.Sum256(module), says)
			return err
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "`FILE` to write, or - for standard output (default the argument's name with .wasm, in this folder)")
	configFlag(c, &config)
	return c
}

// moduleName is what the module of a table or folder is called, unless it is told:
// as that is.
func moduleName(arg, out string) (string, error) {
	if out == "" {
		full, err := filepath.Abs(arg)
		return strings.TrimSuffix(filepath.Base(full), ".toml") + ".wasm", err
	}
	source, err := os.Stat(arg)
	if err != nil {
		return out, nil // which the build says better
	}
	if target, err := os.Stat(out); err == nil && os.SameFile(source, target) && !source.IsDir() {
		return "", usageError{fmt.Errorf("-o %s: that is what is built; name another file", out)}
	}
	return out, nil
}

// buildModule builds what the argument names; its error has the exit code.
func buildModule(ctx context.Context, arg string, stderr io.Writer) ([]byte, error) {
	module, err := toolchain.Build(ctx, arg, stderr)
	if missing, ok := errors.AsType[*toolchain.MissingError](err); ok {
		return nil, unavailableError{missing}
	} else if err != nil {
		return nil, dataError{fmt.Errorf("build %s: %w", arg, err)}
	}
	return module, nil
}

// tryModule takes a module through all gates, and says what it does.
func tryModule(name string, module, config []byte, stderr io.Writer) (string, error) {
	engine := wasm.NewEngine(wasm.DefaultLimits(), func(policy string, _ int, text string) {
		fmt.Fprintf(stderr, "policy %q says: %s\n", policy, text)
	})
	defer engine.Close()
	p, err := engine.Load(context.Background(), name, module, config)
	if err != nil {
		return "", err
	}
	g := policy.NewGeneration(name, "", p)
	defer g.Release()
	return server.Summary(g), nil
}

// writeWhole writes a file under another name and renames it, so that it is there
// whole or as it was before. What is there and is no file, such as a device, stays.
func writeWhole(name string, content []byte) error {
	name, err := replaceable(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".policy-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name by then, if all went well
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// replaceable returns the name of the file that one of that name may be renamed over:
// what a symbolic link stands for, and nothing that is not a file.
func replaceable(name string) (string, error) {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is there already, and no file; name a file", name)
	}
	return name, nil
}

package toolchain

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// How the module of each language is built. Every command runs in the policy's folder and writes to a
// scratch folder; the flags are those of the READMEs of the SDKs, so that a policy can be built without
// this program:
//
//	Go              go build, GOOS=wasip1, c-shared   a reactor: the server calls its exports
//	C               clang, freestanding, lld          no library, so no WASI
//	Rust            cargo, or rustc twice             without cargo: first the SDK, then the policy
//	AssemblyScript  asc, runtime stub                 without a garbage collector

// A build compiles the policy of one folder. The module, and what compilers make on the way, go to
// scratch, so that a build that fails leaves none of it in the folder.
type build struct {
	ctx     context.Context
	dir     string // the folder of the policy
	scratch string // for all files that the build writes
	output  io.Writer
}

// module is the file that the compiler writes.
func (b *build) module() string { return filepath.Join(b.scratch, "policy.wasm") }

// compilers build the module with the flags that the README of the SDK shows.
var compilers = map[Language]func(*build) error{
	Go:             (*build).compileGo,
	C:              (*build).compileC,
	Rust:           (*build).compileRust,
	AssemblyScript: (*build).compileAssemblyScript,
}

// compileGo keeps paths and the state of the repository out of the module, so that its
// SHA-256 depends on the source alone.
func (b *build) compileGo() error {
	tool, err := find("go", "install Go 1.24 or later: https://go.dev/dl/")
	if err != nil {
		return err
	}
	return b.run([]string{"GOOS=wasip1", "GOARCH=wasm"},
		tool, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-buildmode=c-shared", "-o", b.module(), ".")
}

// compileC compiles all C files of the folder but tests. The stack is first in memory, so that
// an overflow traps instead of overwriting data.
func (b *build) compileC() error {
	const install = "install clang and lld: apt-get install clang lld"
	sources, err := b.files("*.c", "_test.c")
	if err != nil {
		return err
	}
	tool, err := find("clang", install)
	if err != nil {
		return err
	}
	if _, err := find("wasm-ld", install); err != nil {
		return err
	}
	return b.run(nil, append([]string{tool, "--target=wasm32", "-O2", "-Wall", "-Wextra", "-ffreestanding", "-nostdlib", "-fuse-ld=lld",
		"-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--stack-first", "-Wl,-z,stack-size=8192", "-o", b.module()}, sources...)...)
}

const wasmTarget = "wasm32-unknown-unknown"

// debianRust is the path of Debian's compiler.
var debianRust = "/usr/bin/rustc"

// compileRust uses cargo if the rustc that cargo calls has the library of the target.
// Otherwise it calls a rustc that has it: Debian's may be behind rustup's in PATH.
func (b *build) compileRust() error {
	manifest := exists(filepath.Join(b.dir, "Cargo.toml"))
	if cargo, err := exec.LookPath("cargo"); err == nil && manifest && b.knowsTarget("rustc") {
		return b.cargo(cargo)
	}
	for _, tool := range []string{"rustc", debianRust} {
		if !b.knowsTarget(tool) {
			continue
		}
		if path, err := exec.LookPath(tool); err == nil && path == debianRust { // its package has no linker
			if _, err := find("rust-lld", "install the linker: apt-get install lld"); err != nil {
				return err
			}
		}
		return b.rustc(tool)
	}
	return &MissingError{Tool: "a rustc with the target " + wasmTarget + ", in PATH and as " + debianRust,
		Install: "add it: rustup target add " + wasmTarget + ", or apt-get install rustc libstd-rust-dev-wasm32 lld"}
}

// knowsTarget reports whether a compiler has the library of the target.
func (b *build) knowsTarget(rustc string) bool {
	c := exec.CommandContext(b.ctx, rustc, "--print", "target-libdir", "--target", wasmTarget)
	c.Dir = b.dir // rustup chooses the compiler by this folder
	lib, err := c.Output()
	return err == nil && exists(strings.TrimSpace(string(lib)))
}

// cargo builds the crate. Its name is not known here, so the one module that it makes is taken.
func (b *build) cargo(tool string) error {
	err := b.run(nil, tool, "build", "--release", "--target", wasmTarget, "--target-dir", b.scratch)
	if err != nil {
		return err
	}
	release := filepath.Join(b.scratch, wasmTarget, "release")
	made, err := matching(release, "*.wasm")
	if err != nil || len(made) != 1 {
		return fmt.Errorf("cargo made %d modules, want 1; Cargo.toml needs [lib] with crate-type = [\"cdylib\"]", len(made))
	}
	return os.Rename(filepath.Join(release, made[0]), b.module())
}

// rustc compiles the copy of the SDK, if there is one, and then the policy.
func (b *build) rustc(tool string) error {
	source := filepath.Join("src", "lib.rs")
	if !exists(filepath.Join(b.dir, source)) {
		sources, err := b.files("*.rs", "_test.rs")
		if err != nil {
			return err
		}
		if len(sources) != 1 {
			return fmt.Errorf("%s has no src/lib.rs and %d other sources; rustc wants one", b.dir, len(sources))
		}
		source = sources[0]
	}
	options := []string{tool, "--edition", "2021", "--target", wasmTarget, "-O", "-C", "panic=abort"}
	policy := append(options[:len(options):len(options)], "--crate-type", "cdylib", "-C", "lto", "-C", "strip=symbols", "-C", "link-arg=-zstack-size=8192")
	if sdk := filepath.Join("sdk", "src", "lib.rs"); exists(filepath.Join(b.dir, sdk)) {
		library := filepath.Join(b.scratch, "libswitchyard.rlib")
		if err := b.run(nil, append(options, "--crate-type", "rlib", "--crate-name", "switchyard", "-o", library, sdk)...); err != nil {
			return err
		}
		policy = append(policy, "--extern", "switchyard="+library)
	}
	return b.run(nil, append(policy, "-o", b.module(), source)...)
}

// compileAssemblyScript compiles policy.ts, by the compiler in node_modules if there is one. With the
// runtime "stub" nothing is ever freed, which suits functions that allocate nothing for each PDU.
func (b *build) compileAssemblyScript() error {
	if !exists(filepath.Join(b.dir, "policy.ts")) {
		return fmt.Errorf("%s has no policy.ts, the file to compile", b.dir)
	}
	if _, err := find("node", "install Node 20 or later: apt-get install nodejs npm, or https://nodejs.org"); err != nil {
		return err
	}
	local, err := filepath.Abs(filepath.Join(b.dir, "node_modules", ".bin", "asc"))
	if err != nil {
		return err
	}
	tool, err := exec.LookPath(local)
	if err != nil {
		if tool, err = find("asc", "it is not in node_modules either: run npm install in "+b.dir); err != nil {
			return err
		}
	}
	return b.run(nil, tool, "policy.ts", "-O3", "--runtime", "stub", "--use", "abort=", "-o", b.module())
}

// files returns the files of the folder that match a pattern and do not end with except. Finding none
// is an error.
func (b *build) files(pattern, except string) ([]string, error) {
	names, err := matching(b.dir, pattern)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, except) })
	if len(names) == 0 {
		return nil, fmt.Errorf("%s has no %s to compile but tests", b.dir, pattern)
	}
	for i := range names {
		names[i] = "./" + names[i] // a name may begin with a hyphen
	}
	return names, nil
}

// find returns the absolute path of a tool.
func find(tool, install string) (string, error) {
	path, err := exec.LookPath(tool)
	if err != nil {
		return "", &MissingError{Tool: tool, Install: install}
	}
	return filepath.Abs(path)
}

// run runs a command in the policy's folder. If the command itself fails, the error is errNotBuilt,
// because the compiler has written to output what is wrong; other errors are about running it.
func (b *build) run(env []string, command ...string) error {
	c := exec.CommandContext(b.ctx, command[0], command[1:]...)
	c.Dir = b.dir
	c.Env = append(os.Environ(), env...)
	c.Stdout, c.Stderr = b.output, b.output
	err := c.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return errNotBuilt
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

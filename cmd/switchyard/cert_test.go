package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// What cert dev prints is a configuration that check finds sound, with the certificates that it made.
func TestCertDev(t *testing.T) {
	t.Chdir(t.TempDir())
	for i, c := range []struct{ args, address string }{
		{"", `"127.0.0.1:8243"`},
		{"certs --host 10.1.0.5 --host hub.example --client acme-1 --valid 1h", `"0.0.0.0:8243"`},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			var printed, said, checked bytes.Buffer
			if code := run(append([]string{"cert", "dev"}, strings.Fields(c.args)...), nil, &printed, &said); code != exitStopped || !strings.Contains(said.String(), "made ca.pem, hub.pem, hub.key, ") {
				t.Errorf("exit code %d, %s", code, said.String())
			}
			config := fmt.Sprintf("%d.toml", i)
			if err := os.WriteFile(config, printed.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			code := run([]string{"check", "--config", config}, nil, &checked, &checked)
			if code != exitStopped || strings.Contains(checked.String(), "warning") || !strings.Contains(checked.String(), "TLS, its certificate is good until") || !strings.Contains(printed.String(), c.address) {
				t.Errorf("it prints\n%s\ncheck: exit code %d, %s", printed.String(), code, checked.String())
			}
		})
	}
	if err := os.MkdirAll("full/folder", 0o700); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run([]string{"cert", "dev", "full"}, nil, &out, &out); code != exitForced || !strings.Contains(out.String(), "full is there and not empty") {
		t.Errorf("a folder that is there: exit code %d, %s", code, out.String())
	}
}

func TestCertDevRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"--client hub":                        "use another name",
		"--client ca":                         "use another name",
		"--client ms1 --client ms1":           "given twice",
		"--client ../../etc":                  "a name is 1 to 40 characters",
		"--client Ms1":                        "a name is 1 to 40 characters",
		"--client " + strings.Repeat("a", 41): "a name is 1 to 40 characters",
		"--host *.example":                    "is not a host",
		"--host fe80::1%eth0":                 "is not a host",
		"--host 10.1.0.5:8243":                "is not a host",
		"--valid 0s":                          "write 1m to 2160h",
		"--valid 9000h":                       "write 1m to 2160h",
		"--valid long":                        "write a time with its unit",
		"one two":                             `takes no argument "two"`,
		"a\"b":                                "cannot be the folder",
		"./":                                  "name a new folder in it",
	} {
		var out bytes.Buffer
		if code := run(append([]string{"cert", "dev"}, strings.Fields(args)...), nil, &out, &out); code != exitUsage || !strings.Contains(out.String(), want) {
			t.Errorf("%s: exit code %d, %q, want %q", args, code, out.String(), want)
		}
	}
	if left, err := os.ReadDir("."); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"switchyard/policy"
)

// texts are values of all kinds: of every check some that it accepts, and some that it refuses.
var texts = append([]string{
	"", " ", "x", "a-b", "A-B", "-", "a\x00b", strings.Repeat("a", 40), strings.Repeat("a", 41), strings.Repeat("a/", 52),
	"teamtalk", "no policy", "file:", "file:routes.toml", "file:../p/a.wasm", "routes.toml", "audit.v2",
	"https://example.org/routes.toml", "https://example.org/a/", "https://example.org", "https://example.org//", "https://u:p@example.org/a", "https://example.org/a?x=/", "https://example.org/a#b", "http://example.org/a",
	"oci://example.org/acme/routes:v7", "oci://example.org:5000/routes@sha256:" + strings.Repeat("0a", 32), "oci://example.org/routes", "oci://[::1]:5000/r:v",
	"127.0.0.1:8200", "127.0.0.1:08200", "127.0.0.1:65535", "127.0.0.1:65536", "127.0.0.1:http", "127.0.0.1", "[::1]:8200", "[fe80::1%eth0]:1", "::1:8200", ":8200", "localhost:0", "LocalHost:1", "0.0.0.0:8280", "hub.example.org:1", "-a:1",
	strings.Repeat("0a", 32), strings.Repeat("0A:", 31) + "0A", strings.Repeat("0a", 31), "sha256:" + strings.Repeat("0a", 32),
	"cubic", "CUBIC", "../cubic", "cn:a", "dns:*.acme.example", "uri: ", "email:*@a", "san:a", "acme", "acme.example", "*.acme.example", "a.*.b", "10.0.0.1",
	"tls://10.1.0.7:4222", "nats://127.0.0.1:4222", "nats://10.1.0.7:4222", "tls://10.1.0.7", "tls://u@10.1.0.7:4222", "tls://10.1.0.7:4222/x", "tls://[::1]:4222/",
	"0%", "0.1%", "45%", "45.0%", "46%", "50%", "99.9%", "100%", "-1%", "1", ".5%", "+25%", "25%", "+0%", "+1000000%", "+1000001%", "x4", "x0", "x1.5", "x1000000", "x1000001", "4",
	"mobile 0x13", "pc 3", "pc 0x03", "tablet 3", "pc", "pc x",
	"CID_MSG_DATA", "CID_MSG_DTA", "0x0301", "769", "0x0700-0x07ff", "CID_MSG_DATA-0x03ff", "0301", "CID_MSG_DATA ",
	"handle rolle", "unicats",
}, policy.EffectNames...)

// A pattern accepts what its check accepts, and refuses something. Editors get the pattern, so what
// it refuses would be marked as a fault.
func TestPatternsAgreeWithChecks(t *testing.T) {
	t.Parallel()
	for _, k := range Default().keys() {
		field := reflect.TypeOf(k.field).Elem()
		if field != reflect.TypeFor[string]() && field != reflect.TypeFor[[]string]() || len(k.choices) > 0 {
			continue
		}
		if k.check.pattern == "" {
			t.Errorf("%s has a check without a pattern; write the check as check{`^…$`, func(text string) error {…}}, with a regular expression that matches what it accepts", k.name)
			continue
		}
		pattern, accepted, refused := regexp.MustCompile(k.check.pattern), 0, 0
		for _, text := range texts {
			switch matches, err := pattern.MatchString(text), k.check.accept(text); {
			case err == nil && !matches:
				t.Errorf("%s: %q is accepted, but not by the pattern %s", k.name, text, pattern)
			case err == nil:
				accepted++
			case !matches:
				refused++
			}
		}
		if accepted == 0 || refused == 0 {
			t.Errorf("%s: the pattern %s is compared with %d texts that the check accepts, and refuses %d of the others; add such texts above", k.name, pattern, accepted, refused)
		}
	}
}

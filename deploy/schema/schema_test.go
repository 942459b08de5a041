package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const root = "../.."

// beyond lists the mistakes in cmd/switchyard/testdata/bad that a schema cannot express.
var beyond = map[string][]string{
	"what several keys mean together": {
		"admin_for_everybody", "admin_on_a_network", "admin_one_token_for_both", "admin_token_without_an_address", "claims_certificates_without_mutual_tls", "claims_issuers_without_mutual_tls",
		"claims_keep_nobody_out", "claims_nothing", "claims_of_the_tenant_of_the_rest", "claims_one_network_and_one_certificate", "claims_one_network_twice",
		"claims_server_names_without_tls", "cluster_without_a_bus", "drain_spread_not_below_timeout", "limits_lag_above_log", "limits_lag_below_pdu",
		"limits_log_below_lag", "limits_soft_above_hard", "listener_address_of_admin", "listener_address_twice", "listener_allows_everybody",
		"listener_any_address", "listener_any_address_v6", "listener_empty_host", "listener_host_name", "listener_tls_is_not_enough", "may_else_without_may",
		"policy_address_without_pin", "signature_without_keys", "tls_client_ca_alone", "tls_crl_without_client_ca", "tls_no_certificate", "tls_no_key",
		"tls_of_the_second_listener",
	},
	"names that the configuration itself or the system defines": {
		"commands_id_of_the_protocol", "commands_id_twice", "commands_name_of_the_protocol", "listener_congestion_control_unknown", "may_commands_unknown", "policy_unknown", "tenant_none_at_all", "tenant_unknown", "tenants_unknown",
	},
	"files and addresses, and what is in them": {
		"audit_missing", "commands_message_missing", "commands_proto_missing", "log_access_file_in_no_folder", "log_access_file_of_other_content", "policy_address_closed", "policy_is_no_table", "policy_missing", "policy_not_signed", "policy_pin_wrong", "signature_key_missing",
		"tls_file_missing", "tls_file_not_pem",
	},
	"arithmetic: bits of networks, multiples, values in two spellings": {
		"allow_host_bits", "allow_ipv4_as_ipv6", "allow_twice", "certificate_pattern_claims_everybody", "claims_host_bits", "cluster_bus_in_the_clear",
		"protocol_client_type_of_teamtalk", "protocol_client_type_twice", "proxy_from_everybody", "proxy_from_everybody_v6", "wasm_memory_of_no_pages",
	},
}

// The schemas accept what "switchyard check" accepts, and refuse the mistakes that a schema can
// express.
func TestConfigurations(t *testing.T) {
	s := compile(t, "config.schema.json")
	for name, text := range sources(t, isConfiguration) {
		if err := validate(s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTables(t *testing.T) {
	s := compile(t, "table.schema.json")
	for name, text := range sources(t, isTable) {
		id := 0x0900 // a custom command, which the schema has only if it is written with the configuration
		text = customCommand.ReplaceAllFunc(text, func([]byte) []byte { id++; return fmt.Appendf(nil, "%#04x", id) })
		if mistakes := bytes.Contains(text, []byte("CID_MSG_DAT ")); (validate(s, text) != nil) != mistakes {
			t.Errorf("%s: %v", name, validate(s, text))
		}
	}
}

func TestBadConfigurations(t *testing.T) {
	s := compile(t, "config.schema.json")
	paths, err := filepath.Glob(root + "/cmd/switchyard/testdata/bad/*.toml")
	if err != nil || len(paths) < 40 {
		t.Fatalf("got %d files, %v, want at least 40", len(paths), err)
	}
	exceptions := map[string]bool{}
	for _, names := range beyond {
		for _, name := range names {
			exceptions[name] = true
		}
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".toml")
		switch refused := validate(s, text) != nil; {
		case refused && exceptions[name]:
			t.Errorf("%s is refused; take it out of beyond", name)
		case !refused && !exceptions[name]:
			t.Errorf("%s is accepted; give its key a pattern or a range in proxy/config, run 'go generate ./cmd/switchyard/schema', or list it in beyond", name)
		}
		delete(exceptions, name)
	}
	for name := range exceptions {
		t.Errorf("beyond lists %s, which is not there", name)
	}
}

func TestCases(t *testing.T) {
	s := compile(t, "cases.schema.json")
	for name, text := range sources(t, isCases) {
		text = customCommand.ReplaceAll(text, []byte("0x0901")) // which the schema has only if it is written with the configuration
		if err := validate(s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Mistakes in cases that the schema refuses.
func TestBadCases(t *testing.T) {
	s := compile(t, "cases.schema.json")
	const good = "[peers]\na = { users = [1], groups = [\"admin\"] }\n[[case]]\nfrom = \"a\"\ncommand = \"CID_MSG_DATA\"\n"
	const expect = "expect = { to = [], sends = [0x0301, \"0x0301\", \"CID_MSG_DATA\"] }\n"
	for _, text := range []string{"", "service = \"SID_MSG\"\nseq = 7\n", "before = 50\nwait = \"1m1.5s\"\nmaster = true\n", "hex = \"ff 0a\"\n", "body = { any = [1, \"x\"] }\n", "[case.peers]\nb = {}\n"} {
		if err := validate(s, []byte(good+expect+text)); err != nil {
			t.Errorf("%v:\n%s", err, text)
		}
	}
	for _, text := range []string{
		``, `peers = 7`, "[peer]\na = {}\n" + good + expect, "[peers]\na = 1\n", "[peers]\na = { user = [1] }", "[peers]\na = { users = [-1] }", "[peers]\na = { groups = [\"A B\"] }",
		"[case]\nfrom = \"a\"\ncommand = 1\n" + expect, "[[case]]\ncommand = 1\n" + expect, "[[case]]\nfrom = \"a\"\n" + expect, good,
		good + "expect = {}\n", good + "expect = { acton = \"drop\" }\n", good + "expect = { action = \"drp\" }\n", good + "expect = { verdict = \"broadcast\" }\n", good + "expect = { to = \"a\" }\n",
		good + "expect = { dropped = \"no\" }\n", good + "expect = { fault = \"no\" }\n", good + "expect = { sends = [\"CID_MSG_DTA\"] }\n",
		good + expect + "seq = 65536\n", good + expect + "before = -1\n", good + expect + "before = 100001\n", good + expect + "wait = \"long\"\n", good + expect + "hex = \"f\"\n", good + expect + "service = \"SID_NO\"\n", good + expect + "nam = \"x\"\n",
		"[[case]]\nfrom = \"a\"\ncommand = \"CID_MSG_DTA\"\n" + expect, "[[case]]\nfrom = \"a\"\ncommand = 65536\n" + expect,
	} {
		if validate(s, []byte(text)) == nil {
			t.Errorf("accepted:\n%s", text)
		}
	}
}

// Mistakes in tables that the schema refuses.
func TestBadTables(t *testing.T) {
	s := compile(t, "table.schema.json")
	for _, text := range []string{
		``, `extends = 7`, `extends = "../base.toml"`, `extends = "base.json"`, `[routes]`, `route = "drop"`,
		"[route]\nCID_MSG_DTA = \"drop\"", "[route]\nCID_MSG_DATA = \"drp\"", "[route]\nCID_MSG_DATA = \"unicast fields\"", "[route]\nCID_MSG_DATA = \"drop, lgo\"",
		"[route]\n0301 = \"drop\"", "[route]\nelse = 1", "[route]\n[route.else]\nelse = \"drop\"", "[service.SID_FIL]\nelse = \"drop\"",
		"[service.SID_FILE]\n0x0720-0x072f = \"drop\"", "[route.0x0720-0x072f]\n\"body-length > 1\" = \"drop\"\nelse = \"drop\"",
		"[route.CID_MSG_DATA]\n\"msg_type = 1\" = \"drop\"", "[route.CID_MSG_DATA]\nelse = \"drop\"", "[route.CID_MSG_DATA]\n\"msg_type\" = \"drop\"\nelse = \"drop\"",
	} {
		if validate(s, []byte(text)) == nil {
			t.Errorf("accepted:\n%s", text)
		}
	}
}

// compile returns a schema of this folder, which has to be one by its own draft.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	s, err := jsonschema.NewCompiler().Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate says what is wrong with a text: it is not TOML, or not what the schema wants.
func validate(s *jsonschema.Schema, text []byte) error {
	var values map[string]any
	if err := toml.Unmarshal(text, &values); err != nil {
		return err
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(encoded))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

var (
	isConfiguration = regexp.MustCompile(`(?m)^(\[\[listener\]\]|\[(tenant|peer|admin|cluster|registry|log|commands)[].])`)
	isTable         = regexp.MustCompile(`(?m)^(extends =|\[(route|service)[].])`)
	isCases         = regexp.MustCompile(`(?m)^\[\[case\]\]`)
	customCommand   = regexp.MustCompile(`CID_MY_\w+`)
	example         = regexp.MustCompile("(?ms)^```toml( [\\w./-]+)?$(.*?)^```$")
)

// sources returns the TOML files of the repository and of its documents that are of that kind, by
// path and line.
func sources(t *testing.T, kind *regexp.Regexp) map[string][]byte {
	t.Helper()
	texts := map[string][]byte{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains([]string{".git", "node_modules", "testdata", "dist"}, d.Name()):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".toml") && !strings.HasSuffix(path, ".md"):
			return nil
		}
		text, err := os.ReadFile(path)
		if name, _ := filepath.Rel(root, path); strings.HasSuffix(path, ".toml") {
			texts[name] = text
		} else {
			for _, m := range example.FindAllSubmatchIndex(text, -1) {
				texts[fmt.Sprintf("%s:%d", name, 1+bytes.Count(text[:m[0]], []byte("\n")))] = text[m[4]:m[5]]
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range texts {
		if !kind.Match(text) {
			delete(texts, name)
		}
	}
	if len(texts) < 4 {
		t.Fatalf("found %d texts, want at least 4", len(texts))
	}
	return texts
}

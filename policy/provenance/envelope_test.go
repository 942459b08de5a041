package provenance

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// The example of the DSSE specification.
func TestAuthenticated(t *testing.T) {
	got := string(authenticated("http://example.com/HelloWorld", []byte("hello world")))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(authenticated("", nil)); got != "DSSEv1 0  0 " {
		t.Errorf("of nothing: %q", got)
	}
}

func TestEnvelopeIsReadInOneWay(t *testing.T) {
	signer, _ := aKey(t)
	good := string(signed(t, statement(), signer))
	e, err := ParseEnvelope([]byte(good))
	if err != nil {
		t.Fatal(err)
	}
	payload := base64.StdEncoding.EncodeToString(e.Payload)
	sig := base64.StdEncoding.EncodeToString(e.Signatures[0].Bytes)
	one := fmt.Sprintf(`{"keyid":%q,"sig":%q}`, signer.ID, sig)
	whole := func(payloadType, payload, signatures string) string {
		return fmt.Sprintf(`{"payloadType":%q,"payload":%q,"signatures":%s}`, payloadType, payload, signatures)
	}
	for text, want := range map[string]string{
		"":                 "not JSON",
		"null":             "payloadType",
		"[]":               "cannot unmarshal",
		good[:len(good)-3]: "not JSON",
		good + good:        "something behind it",
		good + "x":         "something behind it",
		"\ufeff" + good:    "byte order mark",
		strings.Replace(good, "sig", "s\xffg", 1):                                                         "not UTF-8",
		strings.Replace(good, `"payload"`, `"payload": "", "payload"`, 1):                                 "a key is there twice",
		strings.Replace(good, `"payload"`, `"\u0070ayload": "", "payload"`, 1):                            "a key is there twice",
		strings.Replace(good, `"payload"`, `"Payload"`, 1):                                                "a key that does not belong there",
		strings.Replace(good, `"payload"`, `"critical": true, "payload"`, 1):                              "a key that does not belong there",
		strings.Replace(good, `"keyid"`, `"sig": "", "keyid"`, 1):                                         "a key is there twice",
		strings.Replace(good, `"payload"`, `"keyid": "", "payload"`, 1):                                   "unknown field",
		strings.Replace(good, `"keyid"`, `"payload": "", "keyid"`, 1):                                     "unknown field",
		whole("application/json", payload, "["+one+"]"):                                                   "its payloadType is \"application/json\"",
		whole(strings.ToUpper(PayloadType), payload, "["+one+"]"):                                         "its payloadType",
		whole(PayloadType, payload, "[]"):                                                                 "no signatures",
		whole(PayloadType, payload, "null"):                                                               "no signatures",
		whole(PayloadType, payload, "["+strings.Repeat(one+",", maxSignatures)+one+"]"):                   "17 signatures, at most 16",
		whole(PayloadType, payload+"\n", "["+one+"]"):                                                     "line breaks",
		whole(PayloadType, payload+"=", "["+one+"]"):                                                      "payload: illegal base64",
		whole(PayloadType, strings.Repeat("A", 5), "["+one+"]"):                                           "payload: illegal base64",
		whole(PayloadType, "QR==", "["+one+"]"):                                                           "payload: illegal base64", // unused bits are set
		whole(PayloadType, payload, `[{"keyid":"k","sig":"AAAA"}]`):                                       `signature of key "k": it has 3 bytes, one of ed25519 has 64`,
		whole(PayloadType, payload, `[{"keyid":"k"}]`):                                                    `signature of key "k": it has 0 bytes`,
		whole(PayloadType, payload, `[{"keyid":7,"sig":"AAAA"}]`):                                         "cannot unmarshal number",
		whole(PayloadType, payload, `[`+strings.Repeat("[", 9)+strings.Repeat("]", 9)+`]`):                "nested too deeply",
		whole(PayloadType, strings.Repeat("A", MaxSize), "["+one+"]"):                                     "at most 65536 are read",
		whole(PayloadType, strings.Repeat("A", 8), `[{"keyid":"k","sig":"`+strings.Repeat("!", 88)+`"}]`): `signature of key "k": illegal base64`,
	} {
		if _, err := ParseEnvelope([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.300s: %v; want %q", text, err, want)
		}
	}
}

func TestStatementIsReadInOneWay(t *testing.T) {
	s := statement()
	text, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(text)
	if got, err := ParseStatement(text); err != nil || got.Name != s.Name || !got.Expires.Equal(s.Expires) {
		t.Fatalf("%s read as %+v, %v", good, got, err)
	}
	for old, change := range map[string][2]string{
		`"version":3`:     {`"version":3,"version":4`, "a key is there twice"},
		`"name"`:          {`"Name"`, "a key that does not belong there"},
		`"sha256"`:        {`"only_on":"x","sha256"`, "a key that does not belong there"},
		`:3`:              {`:3.5`, "cannot unmarshal number"},
		`"version":3,`:    {``, "version 0"},
		`"version":`:      {`"version":-`, "cannot unmarshal number"},
		`"expires":"2031`: {`"expires":"yesterday`, "cannot parse"},
		`,"tenants":`:     {`,"tenants":null,"x":`, "a key that does not belong there"},
		`["acme",`:        {`[null,`, `tenant ""`},
		`}`:               {`} {}`, "something behind it"},
	} {
		changed := strings.Replace(good, old, change[0], 1)
		if changed == good {
			t.Fatalf("no %s in %s", old, good)
		}
		if _, err := ParseStatement([]byte(changed)); err == nil || !strings.Contains(err.Error(), change[1]) {
			t.Errorf("%s: %v; want %q", changed, err, change[1])
		}
	}
}

// What other tools write for DSSE is read: other ids or none, the other alphabet.
func TestEnvelopesOfOthers(t *testing.T) {
	signer, key := aKey(t)
	_, stranger := aKey(t)
	e, err := ParseEnvelope(signed(t, statement(), signer))
	if err != nil {
		t.Fatal(err)
	}
	for _, keyid := range []string{"", "SHA256:something-else"} {
		text, err := json.Marshal(envelope{PayloadType, base64.URLEncoding.EncodeToString(e.Payload),
			[]signature{{keyid, base64.URLEncoding.EncodeToString(e.Signatures[0].Bytes)}}})
		if err != nil {
			t.Fatal(err)
		}
		f, err := Check(hashA, "routes.toml", text, Rules{Required: true, Keys: []Key{stranger, key}, Now: now})
		if err != nil || len(f.Signers) != 1 || f.Signers[0] != key.ID {
			t.Errorf("with keyid %q: %+v, %v", keyid, f, err)
		}
		if _, err := Check(hashA, "routes.toml", text, Rules{Keys: []Key{stranger}, Now: now}); err == nil || !strings.Contains(err.Error(), "unknown keys") {
			t.Errorf("with keyid %q and a stranger's key: %v", keyid, err)
		}
	}
}

// FuzzCheck: what is read is written and read as the same again, and nothing that
// was not signed is let in.
func FuzzCheck(f *testing.F) {
	signer, key := aKey(f)
	good := signed(f, statement(), signer)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(bytes.Replace(good, []byte("keyid"), []byte("keyId"), 1))
	f.Add([]byte(`{"payloadType":"` + PayloadType + `","payload":"e30=","signatures":[{"sig":"AA=="}]}`))
	f.Add([]byte(`[[[[[[`))
	want, err := ParseEnvelope(good)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if e, err := ParseEnvelope(text); err == nil {
			again, err := e.Encode()
			if err != nil {
				t.Fatalf("%q was read and cannot be written: %v", text, err)
			}
			same, err := ParseEnvelope(again)
			if err != nil || !bytes.Equal(same.Payload, e.Payload) || len(same.Signatures) != len(e.Signatures) {
				t.Fatalf("%q became %q: %v", text, again, err)
			}
			if s, err := ParseStatement(e.Payload); err == nil {
				if _, err := s.Encode(); err != nil {
					t.Fatalf("statement %q was read and cannot be written: %v", e.Payload, err)
				}
			}
		}
		found, err := Check(hashA, "routes.toml", text, Rules{Required: true, Keys: []Key{key}, Now: now})
		if err != nil {
			return
		}
		if e, err := ParseEnvelope(text); err != nil || !bytes.Equal(e.Payload, want.Payload) || !found.Verified() {
			t.Fatalf("%q was let in", text)
		}
	})
}

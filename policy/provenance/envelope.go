package provenance

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	// PayloadType is the type of an envelope's payload.
	PayloadType = "application/vnd.switchyard.policy-statement.v1+json"
	// MaxSize is the size in bytes up to which an envelope is read.
	MaxSize = 64 << 10
	// maxSignatures is the largest number of signatures of an envelope: each is tried with
	// each key.
	maxSignatures = 16
)

// A signature file, which is beside its policy. The payload is the statement's JSON in
// base64, and the signature covers these bytes, not the JSON as this program would write it:
//
//	{
//	  "payloadType": "application/vnd.switchyard.policy-statement.v1+json",
//	  "payload": "eyJzaGEyNTYiOiI5ZjJj…",     of {"sha256":"9f2c…","name":"acme.wasm",…}
//	  "signatures": [
//	    {"keyid": "4f1d07c2a9b3e856", "sig": "…64 bytes in base64…"}
//	  ]
//	}
//
// What ed25519 signs, with the length of the type and that of the payload:
//
//	DSSEv1 51 application/vnd.switchyard.policy-statement.v1+json 214 {"sha256":"9f2c…",…}

// An Envelope is a signed JSON text, such as the statement in a signature file.
type Envelope struct {
	Type       string // of the payload
	Payload    []byte // the JSON, as it was signed
	Signatures []Signature
}

// A Signature is the signature of an envelope's payload by one key.
type Signature struct {
	KeyID string // a hint; may be empty
	Bytes []byte
}

// envelope and signature are the JSON of Envelope and Signature.
type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     string      `json:"payload"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	KeyID string `json:"keyid"`
	Sig   string `json:"sig"`
}

// NewEnvelope returns an envelope for the statement, without signatures yet.
func NewEnvelope(s *Statement) (*Envelope, error) {
	payload, err := s.Encode()
	return &Envelope{Type: PayloadType, Payload: payload}, err
}

// ParseEnvelope reads the content of a signature file. It verifies no signature, and does
// not check that the payload is a statement.
func ParseEnvelope(text []byte) (*Envelope, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", len(text), MaxSize)
	}
	return ParseEnvelopeOf(PayloadType, text)
}

// ParseEnvelopeOf reads an envelope whose payload has that type. It verifies no signature.
func ParseEnvelopeOf(payloadType string, text []byte) (*Envelope, error) {
	var in envelope
	if err := decodeStrictly(text, &in, "payloadType", "payload", "signatures", "keyid", "sig"); err != nil {
		return nil, err
	}
	switch {
	case in.PayloadType != payloadType:
		return nil, fmt.Errorf("its payloadType is %.100q, and not %s", in.PayloadType, payloadType)
	case len(in.Signatures) == 0:
		return nil, errors.New("it has no signatures")
	case len(in.Signatures) > maxSignatures:
		return nil, fmt.Errorf("it has %d signatures, at most %d are tried", len(in.Signatures), maxSignatures)
	}
	payload, err := fromBase64(in.Payload)
	if err != nil {
		return nil, fmt.Errorf("payload: %w", err)
	}
	e := &Envelope{Type: payloadType, Payload: payload}
	for _, s := range in.Signatures {
		sig, err := fromBase64(s.Sig)
		if err == nil && len(sig) != ed25519.SignatureSize {
			err = fmt.Errorf("it has %d bytes, one of ed25519 has %d", len(sig), ed25519.SignatureSize)
		}
		if err != nil {
			return nil, fmt.Errorf("signature of key %.40q: %w", s.KeyID, err)
		}
		e.Signatures = append(e.Signatures, Signature{s.KeyID, sig})
	}
	return e, nil
}

// fromBase64 reads either alphabet, as DSSE allows, with padding and nothing else.
func fromBase64(text string) ([]byte, error) {
	encoding := base64.StdEncoding
	if strings.ContainsAny(text, "-_") {
		encoding = base64.URLEncoding
	}
	if strings.ContainsAny(text, "\r\n") { // which the decoder would ignore
		return nil, errors.New("base64 with line breaks")
	}
	return encoding.Strict().DecodeString(text)
}

// Encode returns the content of a signature file.
func (e *Envelope) Encode() ([]byte, error) {
	out := envelope{PayloadType: e.Type, Payload: base64.StdEncoding.EncodeToString(e.Payload)}
	for _, s := range e.Signatures {
		out.Signatures = append(out.Signatures, signature{s.KeyID, base64.StdEncoding.EncodeToString(s.Bytes)})
	}
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	j.SetIndent("", "  ")
	err := j.Encode(out)
	if err == nil && e.Type == PayloadType {
		_, err = ParseEnvelope(b.Bytes()) // write nothing that could not be read
	}
	return b.Bytes(), err
}

// Sign adds the signature of a key, or replaces it.
func (e *Envelope) Sign(s *Signer) {
	e.Signatures = slices.DeleteFunc(e.Signatures, func(old Signature) bool { return old.KeyID == s.ID })
	e.Signatures = append(e.Signatures, Signature{s.ID, s.sign(authenticated(e.Type, e.Payload))})
}

// authenticated returns what is signed: DSSE's pre-authentication encoding, in which
// type and payload cannot run into each other.
func authenticated(payloadType string, payload []byte) []byte {
	b := fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload))
	return append(b, payload...)
}

// An Examined is a signature and whether it is valid for one of the keys.
type Examined struct {
	KeyID string // as the envelope has it
	Key   *Key   // the key that it names, or else the one that verifies it; nil if there is none
	Fits  bool
}

// Examine checks each signature against the keys.
func (e *Envelope) Examine(keys []Key) []Examined {
	message := authenticated(e.Type, e.Payload)
	all := make([]Examined, 0, len(e.Signatures))
	for _, s := range e.Signatures {
		all = append(all, s.examine(message, keys))
	}
	return all
}

// examine tries the keys that the signature names, or all if it names none of them:
// other tools have other ids. The id is not signed; it only chooses which keys are tried. Two
// keys can have equal ids, as an id is only 64 bits of a hash; the signature must then be valid
// for one of them.
func (s Signature) examine(message []byte, keys []Key) Examined {
	x := Examined{KeyID: s.KeyID}
	for i, k := range keys {
		if k.ID == s.KeyID {
			x.Key = &keys[i]
			x.Fits = x.Fits || ed25519.Verify(k.public, message, s.Bytes)
		}
	}
	if x.Key != nil {
		return x
	}
	for i, k := range keys {
		if ed25519.Verify(k.public, message, s.Bytes) {
			return Examined{s.KeyID, &keys[i], true}
		}
	}
	return x
}

// Verify returns the ids of the keys whose signatures are valid. At least one must be. A
// signature that names one of the keys must be valid for it even if another signature is:
// damage must be noticed at once, not when the other key is withdrawn.
func (e *Envelope) Verify(keys []Key) (signers []string, err error) {
	var unknown []string
	for _, x := range e.Examine(keys) {
		switch {
		case x.Key == nil:
			unknown = append(unknown, fmt.Sprintf("%.40q", x.KeyID))
		case !x.Fits:
			return nil, fmt.Errorf("the signature of key %s does not fit the statement", x.Key.ID)
		case !slices.Contains(signers, x.Key.ID):
			signers = append(signers, x.Key.ID)
		}
	}
	if len(signers) == 0 {
		return nil, fmt.Errorf("it is signed by unknown keys: %s; known: %s", strings.Join(unknown, ", "), ids(keys))
	}
	return signers, nil
}

func ids(keys []Key) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.ID)
	}
	return strings.Join(names, ", ")
}

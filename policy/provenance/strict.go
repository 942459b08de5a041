package provenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"

	"switchyard/policy/stablefile"
)

// maxDepth is how deep JSON values may be nested.
const maxDepth = 4

// JSON leaves to its readers what several equal keys mean. One that signs might show the first
// of two versions, and one that verifies might use the last:
//
//	{"version": 8, …, "version": 3}     refused: a key is there twice
//	{"Version": 3, …}                   refused; encoding/json alone would take it for version
//	{"version": 8, …, "only": "eu"}     refused: unknown, and may be meant to restrict
//	{"version": 8, …} {}                refused: something is behind it

// decodeStrictly reads JSON that every reader understands in the same way: it is UTF-8,
// nothing follows it, no key occurs twice, and all keys are among fields, with exactly that
// spelling. Without fields, those of v are allowed.
func decodeStrictly(text []byte, v any, fields ...string) error {
	if err := stablefile.CheckMark(text); err != nil {
		return err
	}
	if !utf8.Valid(text) {
		return errors.New("it is not UTF-8")
	}
	if !json.Valid(text) {
		return errors.New("it is not JSON, or there is something behind it")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := walk(d, fields, maxDepth); err != nil {
		return err
	}
	d = json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// walk checks the keys of one value of valid JSON. encoding/json would use the last of equal
// keys, and would ignore the case of letters.
func walk(d *json.Decoder, fields []string, depth int) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	opened, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == 0 {
		return errors.New("its values are nested too deeply")
	}
	seen := make(map[string]bool)
	for d.More() {
		if opened == '{' {
			if err := key(d, fields, seen); err != nil {
				return err
			}
		}
		if err := walk(d, fields, depth-1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

// key reads the key of one member of an object. seen has the keys of this object before it.
func key(d *json.Decoder, fields []string, seen map[string]bool) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	name, ok := t.(string)
	switch {
	case !ok:
		return errors.New("it has a key that is not a string")
	case seen[name]:
		return errors.New("a key is there twice")
	case len(fields) > 0 && !slices.Contains(fields, name):
		return errors.New("it has a key that does not belong there")
	}
	seen[name] = true
	return nil
}

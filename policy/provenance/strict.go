package provenance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// maxDepth is how deep the values may be nested that are read here.
const maxDepth = 4

// decodeStrictly reads JSON that can be read in one way only: in UTF-8, nothing
// behind it, no key twice, and none but the fields, spelled exactly so. With no
// fields named, those of v are all.
func decodeStrictly(text []byte, v any, fields ...string) error {
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

// walk reads one value of valid JSON. encoding/json itself takes the last of equal
// keys, and does not mind upper and lower case.
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

func key(d *json.Decoder, fields []string, seen map[string]bool) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	name, ok := t.(string)
	switch {
	case !ok:
		return fmt.Errorf("%v is no key", t)
	case seen[name]:
		return fmt.Errorf("the key %.50q is there twice", name)
	case len(fields) > 0 && !slices.Contains(fields, name):
		return fmt.Errorf("there is no key %.50q", name)
	}
	seen[name] = true
	return nil
}

package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"switchyard/policy/suggest"
)

// encoding/json ignores keys that it does not know, takes any letter case for the right one, and of a
// key that is there twice it takes the last. A request that changes the server would then be carried
// out without what its client has misspelt. So a body is read twice: checkKeys looks at its keys only,
// and json.Unmarshal reads the values.

// readJSON reads a request's body into the struct that v points to. It refuses unknown keys, and keys
// that are there twice: the caller could mean either value.
func (s *Server) readJSON(w http.ResponseWriter, r *http.Request, v any, max int64) error {
	b, err := s.readBody(w, r, "application/json", max)
	if err != nil {
		return err
	}
	if err := decodeObject(b, v); err != nil {
		return fmt.Errorf("the body is not what it should be: %w; see /api/v1/openapi.json", err)
	}
	return nil
}

// decodeObject reads one JSON object into the struct that v points to. Errors name the key as the client
// has written it, and what it takes.
func decodeObject(b []byte, v any) error {
	if err := checkKeys(json.NewDecoder(bytes.NewReader(b)), keysOf(v)); err == io.EOF {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	err := json.Unmarshal(b, v)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		key := wrong.Field[strings.LastIndex(wrong.Field, ".")+1:] // the path has embedded structs
		return fmt.Errorf("%s: got a %.40s; write %s", key, wrong.Value, kindOf(wrong.Type))
	}
	return err
}

// checkKeys reads one object with some of the known keys, and nothing behind it. Values are skipped. The
// error is io.EOF if the text ends within the object.
func checkKeys(d *json.Decoder, known []string) error {
	if t, err := d.Token(); err != nil {
		return err
	} else if t != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	seen := make(map[string]bool)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := t.(string)
		switch {
		case !slices.Contains(known, name):
			return fmt.Errorf("unknown key %.40q; %s", name, suggest.Hint(name, known, "known here: "+strings.Join(known, ", ")))
		case seen[name]:
			return fmt.Errorf("the key %s is there twice; keep one", name)
		}
		seen[name] = true
		if err := d.Decode(new(json.RawMessage)); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more behind its object; send one object")
	}
	return nil
}

// keysOf returns the names that the fields of the struct to which v points have in JSON, those of
// embedded structs included.
func keysOf(v any) (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v).Elem()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// kindOf says what a field takes, in words that need no knowledge of Go. Fields of other types than
// texts, truth values and lists are unsigned numbers.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text in quotes"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list of texts in quotes"
	}
	return fmt.Sprintf("a whole number from 0 to %d", ^uint64(0)>>(64-t.Bits()))
}

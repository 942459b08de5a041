package config

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// A policy gets its configuration as JSON, which knows fewer types than TOML.

// encodeJSON returns a TOML table as a JSON object with sorted names, or nil if it
// is empty. Dates and times become strings as TOML writes them.
func encodeJSON(table map[string]any) (json.RawMessage, error) {
	if len(table) == 0 {
		return nil, nil
	}
	value, err := plain(table)
	if err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// plain converts values of types that JSON does not have.
func plain(value any) (any, error) {
	switch v := value.(type) {
	case map[string]any:
		table := make(map[string]any, len(v))
		for name, inner := range v {
			p, err := plain(inner)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			table[name] = p
		}
		return table, nil
	case []map[string]any:
		return plainList(v)
	case []any:
		return plainList(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, fmt.Errorf("JSON has no number %v; write a finite one", v)
		}
	case time.Time:
		return v.Format(timeLayout(v)), nil
	}
	return value, nil
}

// plainList converts the members of a list. Errors name a member by its index, from 0.
func plainList[T any](list []T) ([]any, error) {
	plains := make([]any, len(list))
	for i, inner := range list {
		p, err := plain(inner)
		if err != nil {
			return nil, fmt.Errorf("%d: %w", i, err)
		}
		plains[i] = p
	}
	return plains, nil
}

// timeLayout returns the layout for a time. The TOML package notes in the name of the
// zone which parts of the time were left out.
func timeLayout(t time.Time) string {
	switch t.Location().String() {
	case "datetime-local":
		return "2006-01-02T15:04:05.999999999"
	case "date-local":
		return time.DateOnly
	case "time-local":
		return "15:04:05.999999999"
	default:
		return time.RFC3339Nano
	}
}

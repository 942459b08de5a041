package config

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A key is one value of the configuration: its dotted name, where it is kept and
// what it may be.
type key struct {
	name    string
	field   any                // *Duration, *Size, *int64, *bool, *string or *json.RawMessage
	min     int64              // of a number, in what its field counts
	max     int64              // of a number, likewise
	check   func(string) error // of a string
	choices []string           // of a string that is one of these
	restart bool               // a change waits for the next start
}

// keys returns every key of c. It is the only list of them: file, environment,
// flags, suggestions and comparisons all go by it.
func (c *Config) keys() []key {
	var keys []key
	for i := range c.Listeners {
		keys = append(keys, c.Listeners[i].keys(fmt.Sprintf("listener.%d.", i))...)
	}
	for i := range c.Tenants {
		keys = append(keys, c.Tenants[i].keys("tenant."+c.Tenants[i].Name+".")...)
	}
	return append(keys,
		key{name: "admin.address", field: &c.Admin.Address, check: checkAdminAddress, restart: true},
		key{name: "peer.heartbeat", field: &c.Peer.Heartbeat, min: int64(10 * millisecond), max: int64(25 * second)},
		key{name: "peer.timeout", field: &c.Peer.Timeout, min: int64(50 * millisecond), max: int64(hour)},
		key{name: "peer.write_timeout", field: &c.Peer.WriteTimeout, min: int64(50 * millisecond), max: int64(10 * minute)},
		key{name: "peer.max_pdu", field: &c.Peer.MaxPDU, min: 16, max: int64(gibibyte)},
		key{name: "wasm.module_size", field: &c.WASM.ModuleSize, min: int64(kibibyte), max: int64(64 * mebibyte)},
		key{name: "wasm.memory", field: &c.WASM.Memory, min: int64(64 * kibibyte), max: int64(gibibyte)},
		key{name: "wasm.fuel", field: &c.WASM.Fuel, min: 1000, max: 10_000_000},
		key{name: "wasm.depth", field: &c.WASM.Depth, min: 16, max: 10_000},
		key{name: "wasm.body", field: &c.WASM.Body, min: int64(kibibyte), max: int64(64 * mebibyte)},
		key{name: "wasm.load_time", field: &c.WASM.LoadTime, min: int64(100 * millisecond), max: int64(minute)},
		key{name: "wasm.faults", field: &c.WASM.Faults, check: checkFolder, restart: true},
		key{name: "reload.watch", field: &c.Reload.Watch},
		key{name: "reload.debounce", field: &c.Reload.Debounce, min: int64(10 * millisecond), max: int64(minute)},
		key{name: "reload.poll", field: &c.Reload.Poll, min: int64(100 * millisecond), max: int64(hour)},
		key{name: "drain.timeout", field: &c.Drain.Timeout, min: 0, max: int64(hour)},
		key{name: "log.level", field: &c.Log.Level, choices: []string{"debug", "info", "warn", "error"}},
		key{name: "log.format", field: &c.Log.Format, choices: []string{"auto", "text", "json"}, restart: true},
	)
}

func (l *Listener) keys(prefix string) []key {
	return []key{
		{name: prefix + "address", field: &l.Address, check: checkAddress, restart: true},
		{name: prefix + "tenant", field: &l.Tenant, check: checkTenantName, restart: true},
	}
}

func (t *Tenant) keys(prefix string) []key {
	limits := &t.Limits
	return []key{
		{name: prefix + "policy", field: &t.Policy, check: checkPolicy},
		{name: prefix + "policy_config", field: &t.PolicyConfig},
		{name: prefix + "audit", field: &t.Audit, check: checkAudit},
		{name: prefix + "limits.lag_hard", field: &limits.LagHard, min: int64(kibibyte), max: int64(16 * gibibyte)},
		{name: prefix + "limits.lag_soft", field: &limits.LagSoft, min: int64(kibibyte), max: int64(16 * gibibyte)},
		{name: prefix + "limits.lag_soft_time", field: &limits.LagSoftTime, min: int64(10 * millisecond), max: int64(10 * minute)},
	}
}

// set takes a value as TOML has it.
func (k key) set(value any) error {
	switch field := k.field.(type) {
	case *Duration:
		return setQuoted(k, field, value, `a duration in quotes, such as "30s"`)
	case *Size:
		return setQuoted(k, field, value, `a size in quotes, such as "16MiB"`)
	case *int64:
		n, ok := value.(int64)
		if !ok {
			return wrongType("a whole number without quotes", value)
		}
		if err := k.inRange(n, strconv.FormatInt(n, 10)); err != nil {
			return err
		}
		*field = n
	case *bool:
		b, ok := value.(bool)
		if !ok {
			return wrongType("true or false without quotes", value)
		}
		*field = b
	case *string:
		text, ok := value.(string)
		if !ok {
			return wrongType("a text in quotes", value)
		}
		if err := k.checkText(text); err != nil {
			return err
		}
		*field = text
	case *json.RawMessage:
		table, ok := value.(map[string]any)
		if !ok {
			return wrongType("a table", value)
		}
		message, err := encodeJSON(table)
		if err != nil {
			return err
		}
		*field = message
	}
	return nil
}

// setQuoted takes a number with a unit.
func setQuoted[N Duration | Size](k key, field *N, value any, want string) error {
	text, ok := value.(string)
	if !ok {
		return wrongType(want, value)
	}
	var n N
	if err := any(&n).(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
		return err
	}
	if err := k.inRange(int64(n), text); err != nil {
		return err
	}
	*field = n
	return nil
}

// setText takes a value as environment and flags have it, without quotes.
func (k key) setText(text string) error {
	switch k.field.(type) {
	case *json.RawMessage:
		return errors.New("it is a table; set it in the configuration's file")
	case *int64:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return k.set(n)
		}
	case *bool:
		if text == "true" || text == "false" {
			return k.set(text == "true")
		}
	}
	return k.set(text)
}

func (k key) inRange(n int64, text string) error {
	if n < k.min || n > k.max {
		return fmt.Errorf("%s is out of range; write %s", text, k.allowed())
	}
	return nil
}

func (k key) checkText(text string) error {
	if k.check != nil {
		return k.check(text)
	}
	for _, choice := range k.choices {
		if text == choice {
			return nil
		}
	}
	return fmt.Errorf("%q is not known; write %s", text, k.allowed())
}

// allowed says what a number or a choice may be: "10ms to 25s"; empty for the
// other types.
func (k key) allowed() string {
	switch k.field.(type) {
	case *Duration:
		return fmt.Sprintf("%s to %s", Duration(k.min), Duration(k.max))
	case *Size:
		return fmt.Sprintf("%s to %s", Size(k.min), Size(k.max))
	case *int64:
		return fmt.Sprintf("%d to %d", k.min, k.max)
	case *bool:
		return "true or false"
	}
	if len(k.choices) == 0 {
		return ""
	}
	last := len(k.choices) - 1
	return strings.Join(k.choices[:last], ", ") + " or " + k.choices[last]
}

// text returns the value in a form that is equal for equal values.
func (k key) text() string {
	switch field := k.field.(type) {
	case *Duration:
		return field.String()
	case *Size:
		return field.String()
	case *int64:
		return strconv.FormatInt(*field, 10)
	case *bool:
		return strconv.FormatBool(*field)
	case *json.RawMessage:
		return string(*field)
	default:
		return *k.field.(*string)
	}
}

func wrongType(want string, value any) error {
	got := "something else"
	switch v := value.(type) {
	case string:
		got = strconv.Quote(v)
	case int64, float64, bool:
		got = fmt.Sprint(v)
	case map[string]any:
		got = "a table"
	case []any, []map[string]any:
		got = "a list"
	}
	return fmt.Errorf("got %s; write %s", got, want)
}

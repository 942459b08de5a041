package config

import (
	"fmt"
	"strings"
	"testing"
)

// Addresses that cannot be listened on at the same time are found, whatever their spelling, also
// between a listener and the admin interface.
func TestAddressesThatCollide(t *testing.T) {
	const bothSides = "; write another"
	for _, c := range []struct {
		first, second string
		collide       bool
	}{
		{"127.0.0.1:1", "0.0.0.0:1", true},
		{"127.0.0.1:1", ":1", true},
		{"127.0.0.1:1", "[::]:1", true},
		{"127.0.0.1:1", "localhost:1", true},
		{"127.0.0.1:1", "LocalHost:01", true},
		{"127.0.0.1:1", "[::ffff:127.0.0.1]:1", true},
		{"0.0.0.0:1", "[::]:1", true},
		{"[::1]:1", "0.0.0.0:1", true}, // Go listens for IPv6, too
		{"host.example:1", ":1", true},
		{"host.example:1", "Host.Example:1", true},
		{"[::1]:1", "127.0.0.1:1", false},
		{"127.0.0.2:1", "127.0.0.1:1", false},
		{"127.0.0.1:1", "0.0.0.0:2", false},
		{"127.0.0.1:0", "0.0.0.0:0", false},
	} {
		for _, pair := range [][2]string{{c.first, c.second}, {c.second, c.first}} {
			text := ""
			for _, address := range pair {
				text += fmt.Sprintf("[[listener]]\naddress = %q\ninsecure_open = true\n", address)
			}
			texts := []string{"admin.address = \"\"\n" + text}
			if host := strings.ToLower(pair[0]); strings.HasPrefix(host, "127.") || strings.HasPrefix(host, "localhost") {
				texts = append(texts, fmt.Sprintf("admin.address = %q\n[[listener]]\naddress = %q\ninsecure_open = true\n", pair[0], pair[1]))
			}
			for _, text := range texts {
				_, err := loadSource(text)
				if collide := err != nil && strings.Contains(err.Error(), bothSides); collide != c.collide {
					t.Errorf("%q collide: %v, want %v; the error is %v", pair, collide, c.collide, err)
				}
			}
		}
	}
}

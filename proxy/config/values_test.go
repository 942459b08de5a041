package config

import "testing"

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		in, out string // out is empty for a fault
		value   Duration
	}{
		{"150ms", "150ms", 150 * millisecond},
		{"60s", "1m", minute},
		{"90s", "1m30s", 90 * second},
		{"1h", "1h", hour},
		{"1h0m5s", "1h0m5s", hour + 5*second},
		{"100m", "1h40m", 100 * minute},
		{"10m", "10m", 10 * minute},
		{"1.5s", "1.5s", 1500 * millisecond},
		{"0s", "0s", 0},
		{"-5s", "-5s", -5 * second},
		{"", "", 0}, {"5", "", 0}, {"5 s", "", 0}, {"s", "", 0}, {"5d", "", 0}, {"9999999h", "", 0},
	} {
		var d Duration
		err := d.UnmarshalText([]byte(c.in))
		if (err == nil) != (c.out != "") || d != c.value || err == nil && d.String() != c.out {
			t.Errorf("%q: got %d, %q, %v, want %d, %q", c.in, d, d, err, c.value, c.out)
		}
	}
}

func TestSize(t *testing.T) {
	for _, c := range []struct {
		in, out string // out is empty for a fault
		value   Size
	}{
		{"0B", "0B", 0},
		{"16B", "16B", 16},
		{"1024B", "1KiB", kibibyte},
		{"1025B", "1025B", 1025},
		{"64KiB", "64KiB", 64 * kibibyte},
		{"16MiB", "16MiB", 16 * mebibyte},
		{"2048MiB", "2GiB", 2 * gibibyte},
		{"8589934591GiB", "8589934591GiB", 8589934591 * gibibyte},
		{"-1MiB", "-1MiB", -mebibyte},
		{"8589934592GiB", "", 0}, {"9223372036854775808B", "", 0}, {"99999999999999999999B", "", 0},
		{"", "", 0}, {"16", "", 0}, {"MiB", "", 0}, {"16 MiB", "", 0}, {"16MB", "", 0}, {"16M", "", 0}, {"16mib", "", 0},
		{"1.5MiB", "", 0}, {"16MiBKiB", "", 0}, {"0x10B", "", 0}, {"1_0B", "", 0},
	} {
		var s Size
		err := s.UnmarshalText([]byte(c.in))
		if (err == nil) != (c.out != "") || s != c.value || err == nil && s.String() != c.out {
			t.Errorf("%q: got %d, %q, %v, want %d, %q", c.in, s, s, err, c.value, c.out)
		}
	}
}

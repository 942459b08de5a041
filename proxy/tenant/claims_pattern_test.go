package tenant

import (
	"strings"
	"testing"
)

func TestIdentityPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern  string
		matching []string
		others   []string
	}{
		{"cn:acme", []string{"cn:acme"}, []string{"cn:Acme", "cn:acme2", "cn:", "dns:acme", "uri:acme", "acme", "", "cn:cn:acme", "cn"}},
		{"cn:*.acme", []string{"cn:a.acme", "cn:a.b.acme", "cn:*.acme"}, []string{"cn:.acme", "cn:a/.acme", "cn:a.acmes", "cn:a.ACME"}},
		{"cn:node-*-eu", []string{"cn:node-1-eu", "cn:node--eu-eu"}, []string{"cn:node--eu", "cn:node-1-eu/", "cn:node-1/2-eu"}},
		{"cn:a*a", []string{"cn:aaa", "cn:a*a"}, []string{"cn:a", "cn:aa"}},
		{"cn:a*b*c", []string{"cn:a.b.c", "cn:abb.c"}, []string{"cn:ab.c", "cn:a.bc", "cn:a.c"}},
		{"cn:ü*", []string{"cn:üb"}, []string{"cn:ü", "cn:Üb"}},
		{"dns:*.acme.example", []string{"dns:a.acme.example", "dns:A.Acme.EXAMPLE", "dns:*.acme.example"},
			[]string{"dns:acme.example", "dns:.acme.example", "dns:a.b.acme.example", "dns:aacme.example", "dns:a.acme.example.", "dns:a.acme.example.org", "cn:a.acme.example"}},
		{"dns:node-*.acme.example", []string{"dns:node-1.acme.example"}, []string{"dns:node-.acme.example", "dns:node-1.x.acme.example"}},
		{"dns:K.example", []string{"dns:k.example"}, []string{"dns:\u212a.example"}}, // a Kelvin sign, of which k is the small form
		{"uri:spiffe://trust/*", []string{"uri:spiffe://trust/a", "uri:SPIFFE://TRUST/A"},
			[]string{"uri:spiffe://trust", "uri:spiffe://trust/", "uri:spiffe://trust/a/b", "uri:spiffe://trust/a/", "uri:spiffe://other/a", "uri:spiffe://trust.other/a",
				"uri:spiffe://a@trust/a", "uri:spiffe://trust:1/a", "uri:https://trust/a", "uri:spiffe:/trust/a", "uri:spiffe://trust/..", "uri:spiffe://trust//a", "uri:spiffe://trust/a/.."}},
		{"uri:spiffe://trust/**", []string{"uri:spiffe://trust/a", "uri:spiffe://trust/a/b", "uri:spiffe://trust/a/b/c"},
			[]string{"uri:spiffe://trust", "uri:spiffe://trust/", "uri:spiffe://trust/a/", "uri:spiffe://trust//", "uri:spiffe://trust/a/../b", "uri:spiffe://trust/./a", "uri:spiffe://other/a", "uri:spiffe://trust.other/a", "uri:spiffe://trustee/a"}},
		{"uri:spiffe://Trust/Acme/*/sa", []string{"uri:spiffe://trust/Acme/x/sa"}, []string{"uri:spiffe://trust/acme/x/sa", "uri:spiffe://trust/Acme/../sa", "uri:spiffe://trust/Acme//sa"}},
		{"uri:spiffe://trust/a-*/**", []string{"uri:spiffe://trust/a-1/x/y"}, []string{"uri:spiffe://trust/a-1", "uri:spiffe://trust/b/x", "uri:spiffe://trust/a-/x"}},
		{"uri:urn:acme:*", []string{"uri:urn:acme:1", "uri:URN:acme:1"}, []string{"uri:urn:ACME:1", "uri:urn:acme:1/2"}},
		{"email:*@acme.example", []string{"email:a@acme.example", "email:a.b@ACME.example"}, []string{"email:@acme.example", "email:a@b@acme.example", "email:a@x.acme.example"}},
		{"email:Ops@acme.example", []string{"email:Ops@Acme.example"}, []string{"email:ops@acme.example"}},
	} {
		p, err := compileIdentity(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, text := range c.matching {
			if !p.matches(newIdentity(text)) {
				t.Errorf("%s does not match %s", c.pattern, text)
			}
		}
		for _, text := range c.others {
			if p.matches(newIdentity(text)) {
				t.Errorf("%s matches %s", c.pattern, text)
			}
		}
	}
}

func TestServerNamePatterns(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"acme.example", "acme.example", true},
		{"ACME.example", "acme.example", true},
		{"acme.example", "x.acme.example", false},
		{"acme.example", "", false},
		{"*.acme.example", "x.acme.example", true},
		{"*.acme.example", "acme.example", false},
		{"*.acme.example", "x.y.acme.example", false},
		{"*.acme.example", ".acme.example", false},
		{"*.acme.example", "", false},
		{"localhost", "localhost", true},
	} {
		p, err := compileServerName(c.pattern)
		if got := err == nil && p.matches(c.name); got != c.want || err != nil {
			t.Errorf("%s, %q: got %t, %v; want %t", c.pattern, c.name, got, err, c.want)
		}
	}
}

// Matching takes linear time. A matcher that backtracks would not finish the second text,
// nor a quadratic one the third, before the test's time is up.
func TestMatchingIsLinear(t *testing.T) {
	const size = 1 << 20
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{strings.Repeat("*a", 100) + "*b", strings.Repeat("a", 255) + "b", true},
		{strings.Repeat("*a", 100) + "*b", strings.Repeat("a", 256), false},
		{strings.Repeat("*a", size/8) + "*b", strings.Repeat("a", size), false},
		{strings.Repeat("*aa", size/8) + "*b", strings.Repeat("a", size) + "b", true},
		{"*" + strings.Repeat("a", 64) + "b*c", strings.Repeat("a", size), false},
		{strings.Repeat("*/", size/4) + "a", strings.Repeat("aa/", size/4) + "b", false},
	} {
		if got := newPattern(c.pattern, "/").matches(c.text); got != c.want {
			t.Errorf("%.20s... on %.20s...: got %t", c.pattern, c.text, got)
		}
	}
}

// slowMatch defines matching: it tries everything that a star may stand for.
func slowMatch(pattern, text, separator string) bool {
	if below, ok := strings.CutSuffix(pattern, "/**"); ok && separator == "/" {
		for i := range text {
			if text[i] == '/' && slowMatch(below, text[:i], separator) && goesDown(text[i:]) {
				return true
			}
		}
		return false
	}
	patterns, texts := strings.Split(pattern, separator), strings.Split(text, separator)
	if len(patterns) != len(texts) {
		return false
	}
	for i := range patterns {
		if strings.Contains(patterns[i], "*") && (texts[i] == "." || texts[i] == "..") || !slowGlob(patterns[i], texts[i]) {
			return false
		}
	}
	return true
}

func goesDown(path string) bool {
	path += "/"
	return !strings.Contains(path, "//") && !strings.Contains(path, "/./") && !strings.Contains(path, "/../")
}

func slowGlob(pattern, text string) bool {
	switch {
	case pattern == "":
		return text == ""
	case text == "":
		return false
	case pattern[0] == '*': // it stands for this byte, and may stand for the next
		return slowGlob(pattern[1:], text[1:]) || slowGlob(pattern, text[1:])
	}
	return pattern[0] == text[0] && slowGlob(pattern[1:], text[1:])
}

func FuzzPattern(f *testing.F) {
	for _, seed := range [][2]string{
		{"cn:a*b*c", "cn:aabbcc"}, {"cn:*a*a*b", "cn:aaaa"}, {"dns:*.a.b", "dns:A.a.b"}, {"uri:s://t/*", "uri:s://t/x"}, {"uri:S://t/a/**", "uri:s://T/a/b/../c"},
		{"uri:s://t/**", "uri:s://t//"}, {"email:*@a.b", "email:a@A.b"}, {"cn:\xff", "cn:\xff"}, {"dns:*.a", "dns:\u212a.a"}, {"uri:a:/**", "uri:A:/../x"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, patternText, text string) {
		if len(patternText) > 24 || len(text) > 40 { // the model is slow indeed
			return
		}
		p, err := compileIdentity(patternText)
		if err != nil {
			return
		}
		i := newIdentity(text)
		want := p.kind == i.kind && slowMatch(p.text, i.name, separators[p.kind])
		if got := p.matches(i); got != want {
			t.Errorf("%q on %q: got %t, want %t", patternText, text, got, want)
		}
		if !strings.Contains(patternText, "*") && text == patternText && !want {
			t.Errorf("%q does not match itself", text)
		}
	})
}

package main

import (
	"fmt"
	"go/doc/comment"
	"strings"

	"switchyard/cmd/switchyard/server"
	"switchyard/pdu"
	"switchyard/policy/table"
	"switchyard/proxy/config"
)

// The pages of section 5 describe files. The configuration's is made of the comments of config.toml,
// the tables' of the comment of package table, and both of what the checks know.

// filePages returns the pages of section 5, by name. A key or a word of a rule that has no
// explanation where it is defined fails a test.
func filePages() map[string]string {
	return map[string]string{"switchyard.toml": configPage(), "switchyard-table": tablePage()}
}

// head begins a page.
func (p *page) head(name, section, short string) {
	p.line(`.\" Written by 'switchyard manual'.`)
	p.line(`.TH "%s" "%s" "" "switchyard %s" "Switchyard"`, roff(strings.ToUpper(name)), section, roff(server.ProgramVersion().Version))
	p.line(".nh\n.ad l") // so that no name is broken
	p.section("NAME")
	p.line(`%s \- %s`, roff(name), roff(short))
}

// also ends a page with other pages, each as "name(1)".
func (p *page) also(pages ...string) {
	p.section("SEE ALSO")
	for i, name := range pages {
		name, section, _ := strings.Cut(name, "(")
		end := ","
		if i == len(pages)-1 {
			end = ""
		}
		p.line(`\fB%s\fR(%s%s`, roff(name), section, end)
	}
}

// configPage returns switchyard.toml(5).
func configPage() string {
	var p page
	p.head("switchyard.toml", "5", "the configuration of switchyard, config.toml")
	p.section("SYNOPSIS")
	p.line(`\fBconfig.toml\fR`)
	p.section("DESCRIPTION")
	p.text(config.Intro() + "\n\n" + `The file is the one that --config names, else that of SWITCHYARD_CONFIG, else config.toml in
the working directory if it is there. The systemd unit names /etc/switchyard/config.toml.
'switchyard check' reports every fault in it, with its line and the remedy; 'switchyard schema
config' prints a JSON Schema for editors.

A duration is numbers with units, such as "150ms", "30s" or "1m30s"; a size is a whole number with
a unit, such as "512B", "64KiB" or "16MiB". In a list of networks, an address is a network of its own.`)
	p.section("KEYS")
	for _, t := range config.Tables() {
		p.line(".SS %s", roff(t.Header))
		p.text(t.Doc)
		for _, k := range t.Keys {
			p.key(k)
		}
	}
	p.section("EXAMPLES")
	p.verbatim(strings.Split(configExample, "\n"))
	p.also("switchyard(1)", "switchyard-check(1)", "switchyard-schema(1)", "switchyard-table(5)")
	return p.String()
}

// configExample is a configuration for msg_servers on other machines.
const configExample = `[[listener]]
address = "10.1.0.5:8200"
allow   = ["10.1.0.0/24"]

[tenant.default]
policy = "file:routes.toml"

[admin]
operate_token_file = "operate.token"`

// key adds a key with its type, its default and what it means:
//
//	timeout (duration, "30s")
//	     How long a peer may be silent. A change requires a restart.
func (p *page) key(k config.Key) {
	kind, text := string(k.Type), k.Doc
	switch fallback := k.Default.(type) {
	case string:
		kind += fmt.Sprintf(", %q", fallback)
	case []string:
		kind += ", [" + strings.Join(quoteAll(fallback), ", ") + "]"
	case int64, bool:
		kind += fmt.Sprintf(", %v", fallback)
	}
	if k.Must {
		kind = string(k.Type) + ", required"
	}
	if k.Restart {
		text += " A change requires a restart."
	}
	name := k.Name[strings.LastIndex(k.Name, ".")+1:]
	p.item(fmt.Sprintf(`\fB%s\fR (%s)`, roff(name), roff(kind)), text)
}

// quoteAll quotes texts, as a list in TOML has them.
func quoteAll(texts []string) (quoted []string) {
	for _, text := range texts {
		quoted = append(quoted, fmt.Sprintf("%q", text))
	}
	return quoted
}

// tablePage returns switchyard-table(5).
func tablePage() string {
	var p page
	p.head("switchyard-table", "5", "a routing table of switchyard")
	p.section("SYNOPSIS")
	p.line(`\fBpolicy = \(dqfile:routes.toml\(dq\fR`)
	p.section("DESCRIPTION")
	p.text(`A routing table is a policy that needs no code: a file in TOML that says what happens to each
command of TeamTalk's protocol. A tenant of switchyard.toml(5) names it; a saved change takes effect
at once. 'switchyard check' reports every mistake in it, with its line and the remedy; 'switchyard
policy show' prints what it does, 'switchyard policy diff' what a change would do, and 'switchyard
schema table' a JSON Schema for editors.`)
	p.goDoc(table.Reference())
	p.section("LIMITS")
	p.text(fmt.Sprintf(`A table has at most %d bytes and %d rules, with its cases and those of the tables that it
extends. A command has at most %d cases besides else. At most %d tables extend one another in a row.`,
		table.MaxSize, table.MaxRules, table.MaxCases, table.MaxBases))
	p.section("SERVICES")
	for id := pdu.SID_LOGIN; id <= pdu.SID_INTERNAL; id++ {
		p.line(".br\n%s", roff(fmt.Sprintf("%#04x %v", uint16(id), id)))
	}
	p.section("COMMANDS")
	p.text("Each with its id, its message, and the fields that unicast fields (users) or a case (numbers) may name.")
	for _, c := range pdu.Commands {
		text := c.Message
		if fields := table.UserFields(c.ID); len(fields) > 0 {
			text += "; users: " + strings.Join(fields, ", ")
		}
		if fields := table.NumericFields(c.ID); len(fields) > 0 {
			text += "; numbers: " + strings.Join(fields, ", ")
		}
		p.item(fmt.Sprintf(`\fB%s\fR %#04x`, roff(c.Name), uint16(c.ID)), text)
	}
	p.also("switchyard(1)", "switchyard-check(1)", "switchyard-policy-show(1)", "switchyard-policy-diff(1)", "switchyard-policy-test(1)", "switchyard-schema(1)", "switchyard.toml(5)")
	return p.String()
}

// goDoc adds the comment of a Go package, but for its first paragraph, which is for programmers. So
// the rules of tables are written once, where the compiler of tables is.
func (p *page) goDoc(text string) {
	_, text, _ = strings.Cut(text, "\n\n")
	for _, block := range new(comment.Parser).Parse(text).Content {
		switch b := block.(type) {
		case *comment.Heading:
			p.section(strings.ToUpper(plain(b.Text)))
		case *comment.Paragraph:
			p.line(".PP")
			p.text(plain(b.Text))
		case *comment.Code:
			p.verbatim(strings.Split(strings.TrimSuffix(b.Text, "\n"), "\n"))
		case *comment.List:
			for _, item := range b.Items {
				p.line(".IP \"%s\" 4", listMark(item.Number))
				for _, part := range item.Content {
					p.text(plain(part.(*comment.Paragraph).Text))
				}
			}
		}
	}
}

// listMark returns what is before an item of a list: its number, or a bullet, which is \(bu.
func listMark(number string) string {
	if number == "" {
		return `\(bu`
	}
	return number + "."
}

// plain returns the text of a comment without its links, which lead to Go's documentation. The other
// kinds of text are what a comment of a package can have.
func plain(parts []comment.Text) string {
	var text strings.Builder
	for _, part := range parts {
		switch t := part.(type) {
		case comment.Plain:
			text.WriteString(string(t))
		case comment.Italic:
			text.WriteString(string(t))
		case *comment.Link:
			text.WriteString(plain(t.Text))
		case *comment.DocLink:
			text.WriteString(plain(t.Text))
		}
	}
	return text.String()
}

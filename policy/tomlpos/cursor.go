package tomlpos

import "strings"

// A Cursor reads a text from its beginning to its end. It knows what a string of TOML is, for packages
// that look for what is between strings.
type Cursor struct {
	Text string
	At   int // the offset of the next byte
}

// Peek returns the next byte, 0 at the end.
func (c *Cursor) Peek() byte {
	if c.At < len(c.Text) {
		return c.Text[c.At]
	}
	return 0
}

// Skip passes all of these bytes that are next.
func (c *Cursor) Skip(these string) {
	c.At = len(c.Text) - len(strings.TrimLeft(c.Text[c.At:], these))
}

// SkipTo passes everything up to the next of these bytes, or to the end.
func (c *Cursor) SkipTo(these string) {
	n := strings.IndexAny(c.Text[c.At:], these)
	if n < 0 {
		n = len(c.Text)
	}
	c.Pass(n)
}

// Pass passes n bytes, or all if there are fewer.
func (c *Cursor) Pass(n int) { c.At = min(c.At+n, len(c.Text)) }

// Quoted passes a string of any of the four kinds, whose first quote is next, and returns it with its
// quotes. Without three quotes, a string that is not closed ends with its line.
func (c *Cursor) Quoted() (text string, closed bool) {
	begun, quote := c.At, c.Text[c.At:c.At+1]
	end := quote
	if long := strings.Repeat(quote, 3); strings.HasPrefix(c.Text[c.At:], long) {
		end = long
	}
	for c.Pass(len(end)); c.At < len(c.Text) && !strings.HasPrefix(c.Text[c.At:], end); c.Pass(1) {
		if len(end) == 1 && c.Peek() == '\n' {
			return c.Text[begun:c.At], false
		}
		if quote == `"` && c.Peek() == '\\' {
			c.Pass(1)
		}
	}
	closed = c.At < len(c.Text)
	c.Pass(len(end))
	for i := 0; i < 2 && len(end) == 3 && c.Peek() == quote[0]; i++ {
		c.Pass(1) // up to two quotes may precede the closing three
	}
	return c.Text[begun:c.At], closed
}

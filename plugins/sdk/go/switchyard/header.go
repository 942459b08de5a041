package switchyard

// A Service is a service id, 0 to 0xffff.
type Service uint32

// A Command is a command id, 0 to 0xffff.
type Command uint32

// A Header is the 16 bytes before a PDU's body as two big-endian words, the arguments hi
// and lo of inspect and inspect_body: Header{hi, lo}.
type Header struct{ Hi, Lo uint64 }

// Length is the length of the whole PDU in bytes, including the 16 of the header.
func (h Header) Length() uint32   { return uint32(h.Hi >> 32) }
func (h Header) Version() uint32  { return uint32(h.Hi >> 16 & 0xffff) }
func (h Header) Flag() uint32     { return uint32(h.Hi & 0xffff) }
func (h Header) Service() Service { return Service(h.Lo >> 48) }
func (h Header) Command() Command { return Command(h.Lo >> 32 & 0xffff) }
func (h Header) Sequence() uint32 { return uint32(h.Lo >> 16 & 0xffff) }
func (h Header) Reserved() uint32 { return uint32(h.Lo & 0xffff) }

// Attributes are facts about the sender. Ignore the bits without a method here: later
// versions may give them a meaning.
type Attributes uint64

// Master reports whether the sender declared itself master.
func (a Attributes) Master() bool { return a&1 != 0 }

package switchyard

// MaxBytes is the size of the largest body or configuration that a guest accepts. By
// default the server sends none that is larger.
const MaxBytes = 64 << 10

// room is the buffer into which the server writes bodies and configurations.
var room [MaxBytes]byte

// Given returns the n bytes that the server has written: the body in inspect_body, the
// configuration in configure. They are valid until the call returns.
func Given(n uint32) []byte { return room[:min(n, MaxBytes)] }

// The levels of Log.
const (
	Debug = 0
	Info  = 1
	Warn  = 2
	Error = 3
)

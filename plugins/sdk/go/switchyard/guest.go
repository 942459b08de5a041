package switchyard

// MaxBytes is the size of the largest body or configuration that a guest takes,
// which is also the largest that the server hands out unless configured otherwise.
const MaxBytes = 64 << 10

// room is where the server puts bodies and configurations.
var room [MaxBytes]byte

// Given returns the n bytes that the server has put where buffer told it to: the
// body in inspect_body, the configuration in configure. They stay until the call
// returns.
func Given(n uint32) []byte { return room[:min(n, MaxBytes)] }

// The levels of Log.
const (
	Debug = 0
	Info  = 1
	Warn  = 2
	Error = 3
)

package pdu

import (
	"encoding/binary"
	"fmt"
)

// A LengthError reports a header with an illegal length. The rest of the stream has
// no framing and cannot be read.
type LengthError struct {
	Length uint32
	Max    int // the largest length accepted
}

func (e *LengthError) Error() string {
	if e.Length < HeaderLen {
		return fmt.Sprintf("PDU length %d is below the header's %d", e.Length, HeaderLen)
	}
	return fmt.Sprintf("PDU length %d is above the maximum of %d", e.Length, e.Max)
}

// Next returns the length of the PDU that begins at b[0], or 0 if b does not hold
// all of it. Like the original, it does not examine a length before all 16 bytes of
// the header are in b. The error is a *LengthError.
func Next(b []byte, max int) (int, error) {
	if len(b) < HeaderLen {
		return 0, nil
	}
	n := binary.BigEndian.Uint32(b)
	if n < HeaderLen || uint64(n) > uint64(max) {
		return 0, &LengthError{Length: n, Max: max}
	}
	if uint64(n) > uint64(len(b)) {
		return 0, nil
	}
	return int(n), nil
}

// Whole returns how many bytes at the start of b are complete PDUs. The error is
// a *LengthError about the header that follows them.
func Whole(b []byte, max int) (int, error) {
	end, _, err := whole(b, max)
	return end, err
}

// whole is Whole and also returns the length of the longest of the PDUs.
func whole(b []byte, limit int) (end, longest int, err error) {
	for {
		n, err := Next(b[end:], limit)
		if n == 0 {
			return end, longest, err
		}
		end += n
		longest = max(longest, n)
	}
}

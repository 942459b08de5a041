package pdu

import (
	"encoding/binary"
	"fmt"
)

// A LengthError is a header whose length cannot be that of a PDU. The stream
// behind it cannot be understood any more.
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

// Next returns the length of the PDU that begins at b[0], or 0 if b does not
// hold it whole. Nothing is looked at before 16 bytes are there, as in the
// original. The error is a *LengthError.
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
// a *LengthError: the one behind them can be none.
func Whole(b []byte, max int) (int, error) {
	end, _, err := whole(b, max)
	return end, err
}

// whole is Whole, and says how long the longest of the PDUs is.
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

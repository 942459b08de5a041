package admission

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/pires/go-proxyproto"
)

const (
	commandLocal      = 0x20
	commandProxy      = 0x21
	familyUnspecified = 0
)

// addressesV2 is how many bytes the addresses take, by the upper half of the family's byte.
var addressesV2 = [...]int{0, 12, 36, 216} // unspecified, IPv4, IPv6, Unix

var (
	errCutField    = errors.New("a field is longer than the header")
	errChecksum    = errors.New("its checksum is wrong, so a byte was changed on the way")
	errChecksumLen = errors.New("its checksum is not of 4 bytes, or there is more than one")
	castagnoli     = crc32.MakeTable(crc32.Castagnoli)
)

// checkFields checks the fields behind the addresses in a complete header of version 2, and
// the checksum if there is one:
//
//	type    1 byte
//	length  2 bytes, of the value, big endian
//	value
//
// What cannot be read is accepted with LOCAL, whose content is to be ignored.
func checkFields(b []byte) error {
	family := int(b[13] >> 4)
	if family >= len(addressesV2) || len(b) < prefixV2+addressesV2[family] {
		return nil // which the library judges
	}
	at := 0 // of the checksum
	for i := prefixV2 + addressesV2[family]; i < len(b); {
		value := i + 3
		if value > len(b) || value+int(binary.BigEndian.Uint16(b[i+1:])) > len(b) {
			if b[12] == commandLocal {
				break
			}
			return errCutField
		}
		n := int(binary.BigEndian.Uint16(b[i+1:]))
		if proxyproto.PP2Type(b[i]) == proxyproto.PP2_TYPE_CRC32C {
			if n != crc32.Size || at > 0 {
				return errChecksumLen
			}
			at = value
		}
		i = value + n
	}
	if at > 0 && checksumWithout(b, at) != binary.BigEndian.Uint32(b[at:]) {
		return errChecksum
	}
	return nil
}

// checksumWithout returns the checksum of b with zeros instead of the checksum at that place.
func checksumWithout(b []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, b[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, crc32.Size))
	return crc32.Update(sum, castagnoli, b[at+crc32.Size:])
}

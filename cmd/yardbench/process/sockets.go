//go:build linux

package process

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// tcpEstablished is the state in /proc/net/tcp of a connection that is open in both
// directions.
const tcpEstablished = "01"

// Established returns the client ports of the connections that a server on this machine has
// not closed. A client that does not read cannot see that itself: the end of its input comes
// after the unread bytes.
func Established(server netip.AddrPort) (map[uint16]bool, error) {
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return nil, fmt.Errorf("read connections of the machine: %w", err)
	}
	defer f.Close()
	address := server.Addr().Unmap().As4()
	local := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(address[:]), server.Port())
	ports := map[uint16]bool{}
	s := bufio.NewScanner(f)
	for s.Scan() {
		fields := strings.Fields(s.Text()) // number, local address, remote address, state
		if len(fields) < 4 || fields[1] != local || fields[3] != tcpEstablished {
			continue
		}
		_, port, _ := strings.Cut(fields[2], ":")
		if n, err := strconv.ParseUint(port, 16, 16); err == nil {
			ports[uint16(n)] = true
		}
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read connections of the machine: %w", err)
	}
	return ports, nil
}

package meter

import (
	"cmp"
	"slices"

	"switchyard/policy/wasm/binary"
)

// maxGap is how many zeros may be added to join two segments. A segment takes at least five
// bytes in addition to its content, so a gap of up to five does not enlarge the module. A
// larger gap does, but instances start sooner.
const maxGap = 64

// A segment of data is copied to its address when an instance starts.
type segment struct {
	at      int64 // address; 64 bits, so that the end of a segment does not wrap around
	content []byte
}

func (s segment) end() int64 { return s.at + int64(len(s.content)) }

// joinData joins segments of data. Toolchains omit zeros between other data: stock Go produces
// 22,000 small segments, and starting an instance then takes longer to find the segments than
// to copy them. Neighbours with few zeros between them are joined, so that 9 remain:
//
//	(data (i32.const 16) "ab") (data (i32.const 20) "c")  ─▶  (data (i32.const 16) "ab\00\00c")
//
// The resulting memory is the same, because it begins with zeros and no two joined segments
// overlap. If segments overlap, or if code may refer to segments by number, nothing is
// changed.
func (m *module) joinData() {
	s := &m.sections[binary.SectionData]
	if s.count < 2 || m.sections[binary.SectionDataCount].present {
		return
	}
	joined, ok := joinSegments(binary.NewReader(s.items), s.count)
	if !ok || overlap(joined) {
		return
	}
	var items []byte
	m.datas, m.dataBytes = len(joined), 0
	for _, j := range joined {
		items = append(binary.AppendS(append(items, 0, opI32Const), int64(int32(j.at))), opEnd)
		items = binary.AppendSized(items, j.content)
		m.dataBytes += len(j.content)
	}
	s.count = m.datas
	s.replace(items)
}

// joinSegments reads segments and joins each with its predecessor if that is near.
func joinSegments(r *binary.Reader, count int) (joined []segment, ok bool) {
	for range count {
		next, ok := readSegment(r)
		if !ok {
			return nil, false
		}
		if n := len(joined); n > 0 {
			last := &joined[n-1]
			if gap := next.at - last.end(); gap >= 0 && gap <= maxGap {
				last.content = append(append(last.content, make([]byte, gap)...), next.content...)
				continue
			}
		}
		joined = append(joined, segment{next.at, slices.Clone(next.content)})
	}
	return joined, true
}

// readSegment reads a segment. It must have a constant address in the memory.
func readSegment(r *binary.Reader) (s segment, ok bool) {
	if kind := r.U32(); kind != 0 || r.Byte() != opI32Const {
		return s, false
	}
	s.at = int64(uint32(r.S32()))
	ok = r.Byte() == opEnd
	s.content = r.Bytes(int(r.U32()))
	return s, ok && r.Err == nil
}

// overlap reports whether two segments share a byte. The later one would win, and in a joined
// segment the order of its parts is lost. The segments need not be in order of address.
func overlap(segments []segment) bool {
	sorted := slices.SortedStableFunc(slices.Values(segments), func(a, b segment) int { return cmp.Compare(a.at, b.at) })
	for i := range sorted[1:] {
		if sorted[i].end() > sorted[i+1].at {
			return true
		}
	}
	return false
}

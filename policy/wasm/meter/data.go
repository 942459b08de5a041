package meter

import (
	"cmp"
	"slices"

	"switchyard/policy/wasm/binary"
)

// maxGap is how many zeros may be added to join two segments. A segment takes five bytes or
// more besides its content, so a gap of up to five makes the module no larger; above that, the
// module grows for the sake of instances that start sooner.
const maxGap = 64

// A segment of data is copied to its address when an instance starts.
type segment struct {
	at      int64 // address; 64 bits, so that the end of a segment does not wrap around
	content []byte
}

func (s segment) end() int64 { return s.at + int64(len(s.content)) }

// joinData joins segments of data. Toolchains leave out the zeros between what is not zero:
// stock Go makes 22,000 small segments, and starting an instance then takes longer for finding
// them than for copying them. Neighbours with few zeros between them become one, so that 9
// are left:
//
//	(data (i32.const 16) "ab") (data (i32.const 20) "c")  ─▶  (data (i32.const 16) "ab\00\00c")
//
// The memory is the same afterwards, as it begins with zeros and no two of the joined segments
// overlap. If they would, or if code may name segments by their numbers, all stay as they are.
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

// joinSegments reads segments and joins each with the one before it where that is near.
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

package presence

import "math/bits"

// KeepSum makes the Directory keep a sum of itself: of a hash of each user with its counts, and of
// each holding. Two Directories with the same users, counts and holdings have the same sum, whatever
// happened to them before; others have different ones, except by an accident of one in 2^64. Holdings
// that Leave has still to remove are included.
//
// KeepSum walks the table once. From then on each change costs a few hashes more.
func (d *Directory) KeepSum() { d.summed, d.sum = true, d.sumUp() }

// Sum returns the sum, which only KeepSum makes the Directory keep. It costs nothing.
func (d *Directory) Sum() uint64 { return d.sum }

func (d *Directory) sumUp() (sum uint64) {
	for id, u := range d.users {
		sum += sumOfCounts(id, &u.counts)
		for h := u.holding; ; h = *d.more.at(h.next) {
			sum += sumOfHolding(id, d.peers[h.peer].holder)
			if h.next == 0 {
				break
			}
		}
	}
	return sum
}

// sumOfCounts returns the hash of a user with its counts; 0 without counts, as of a user that is not
// there.
func sumOfCounts(id uint32, counts *[4]uint32) uint64 {
	if *counts == [4]uint32{} {
		return 0
	}
	return mix(uint64(counts[0])<<32|uint64(counts[1]), mix(uint64(counts[2])<<32|uint64(counts[3]), uint64(id)))
}

func sumOfHolding(id uint32, h Holder) uint64 { return mix(uint64(h), uint64(id)|1<<32) }

// mix hashes two words: it multiplies them, and folds the product. They are made unlikely to be 0.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xc2b2ae3d27d4eb4f)
	return high ^ low
}

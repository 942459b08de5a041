package presence

// Holds returns how many users h holds.
func (d *Directory) Holds(h Holder) int { return d.peers[d.byHolder[h]].held.n }

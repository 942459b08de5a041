//go:build full || race

package dialogue

import "testing"

// Where a script settles by silence, nothing is sent but what the script says.
func TestSettleQuietly(t *testing.T) {
	t.Parallel()
	d, f := talk(), fake{mute: true}
	d.quiet = true
	got, err := d.Play(t.Context(), f.start(t))
	if err != nil {
		t.Fatal(err)
	}
	check(t, Compare(d.Want, got), "")
}

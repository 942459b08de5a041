package switchyard

// A Rate is how many PDUs a rate limit lets through. Begin with PerSecond or PerMinute. A policy that
// limits exports rate_limit, and names the limits of that function in its verdicts:
//
//	//go:wasmexport rate_limit
//	func rateLimit(number, scope uint32) switchyard.Rate {
//		if number == 1 && scope == switchyard.PerPeer {
//			return switchyard.PerSecond(50).Burst(100)
//		}
//		return switchyard.NoRate
//	}
//
// The server asks for the numbers from 1 on, and stops at one without a rate.
type Rate uint64

// NoRate lets everything through.
const NoRate Rate = 0

// The scopes of rate_limit.
const (
	PerPeer   = 0 // each peer has the rate
	PerTenant = 1 // all peers of the tenant have it together
)

// PerSecond lets 1 to 1,000,000 PDUs through in a second, and as many at once.
func PerSecond(pdus uint32) Rate { return Rate(pdus)&0xffffff | 1<<24 }

// PerMinute lets 1 to 1,000,000 PDUs through in a minute, and as many at once.
func PerMinute(pdus uint32) Rate { return Rate(pdus)&0xffffff | 2<<24 }

// Burst lets that many PDUs through at once, 1 to 1,000,000.
func (r Rate) Burst(pdus uint32) Rate { return r&0xffffffff | Rate(pdus)&0xffffff<<32 }

// Limit drops PDUs beyond the rate limit of that number, 1 to 63. Drop, Consume, Close and the
// handlers of users and roles cannot have one.
func (v Verdict) Limit(number uint32) Verdict { return v&^(63<<26) | Verdict(number)&63<<26 }

// Package abi holds the names and numbers that the host and a policy's guest
// agree on: version 1 of Switchyard's policy ABI. It imports nothing, so that a
// guest SDK can be checked against it. docs/abi.md explains it in prose.
package abi

// Exports of a policy module. Only Marker and Classify are required.
const (
	// Marker names the ABI version by its presence: () -> (). It is never called.
	Marker = "switchyard_abi_v1"
	// MarkerPrefix is what the markers of all versions begin with.
	MarkerPrefix = "switchyard_abi_v"
	// Classify decides by ids alone: (service i32, command i32) -> i64.
	Classify = "classify"
	// Inspect decides by the header: (header_hi i64, header_lo i64, session i64,
	// attributes i64) -> i64. The header is the 16 bytes on the wire as two
	// big-endian words.
	Inspect = "inspect"
	// Buffer hands out a static buffer of at least size bytes, or 0 to refuse:
	// (size i32) -> i32.
	Buffer = "buffer"
	// InspectBody decides by header and body, which the host has copied to ptr:
	// (ptr i32, len i32, header_hi i64, header_lo i64, session i64, attributes
	// i64) -> i64.
	InspectBody = "inspect_body"
	// Configure takes the tenant's configuration for the policy as JSON and
	// returns 0, or anything else to refuse the generation: (ptr i32, len i32) -> i32.
	Configure = "configure"
	// Groups names the groups of peers that the policy knows: () -> i64, the address of the text
	// in the upper 32 bits and its length in the lower ones. The text has the names one after
	// the other, with line feeds between. The first one is number 0.
	Groups = "switchyard_groups"
	// RateLimit states the rate limits that verdicts name: (number i32, scope i32) -> i64.
	RateLimit = "rate_limit"
	// Initialize is called once per instance: () -> ().
	Initialize = "_initialize"
	// Memory is the guest's linear memory, needed by Buffer, InspectBody,
	// Configure and the host's log function.
	Memory = "memory"
)

// The one host function: switchyard_v1.log(level i32, ptr i32, len i32).
const (
	HostModule = "switchyard_v1"
	HostLog    = "log"
)

// Levels of the host's log function.
const (
	LogDebug = 0
	LogInfo  = 1
	LogWarn  = 2
	LogError = 3
)

// The verdict is one unsigned 64-bit integer:
//
//	bits  0–7   action
//	bits  8–15  flags
//	bits 16–19  selector of UNICAST
//	bits 20–24  with the flag ALSO, the number of the group; bit 25 is zero
//	bits 26–31  number of a rate limit of the guest, 1–63; 0 is none
//	bits 32–63  argument
//
// A verdict that sets a bit which has to be zero is a fault.
const (
	ActionMask    = 0xff
	SelectorShift = 16
	SelectorMask  = 0xf
	AlsoShift     = 20
	AlsoMask      = 0x1f
	ReservedMask  = 0x02000000
	LimitShift    = 26
	LimitMask     = 0xfc000000
	ArgumentShift = 32
)

// Actions, bits 0–7 of a verdict.
const (
	Drop                  = 0
	Consume               = 1 // accepted, nothing to send
	Handle                = 2 // by the built-in handler that the argument names
	Unicast               = 3 // to the peers that the selector names
	BroadcastExceptSender = 4
	BroadcastAll          = 5
	Close                 = 6 // the sender's connection
)

// Flags, bits 8–15 of a verdict. The bits not named here are reserved and zero.
const (
	InspectHeader = 1 << 8  // ask Inspect for each PDU
	InspectBodyOf = 1 << 9  // ask InspectBody for each PDU
	Log           = 1 << 10 // log the PDU's header
	NotSender     = 1 << 11 // leave the sender out of UNICAST's targets
	ElseBroadcast = 1 << 12 // if a named user is not known, broadcast except sender
	Also          = 1 << 13 // of UNICAST and broadcasts: to the peers of a group as well
	FlagsMask     = InspectHeader | InspectBodyOf | Log | NotSender | ElseBroadcast | Also
)

// Selectors of UNICAST, bits 16–19 of a verdict.
const (
	ToSender  = 0
	ToSession = 1 // the session in the argument
	ToUser    = 2 // the holders of the user in the argument
	ToFields  = 3 // the holders of the users in the body's varint fields: argument bit n is field n, 1–31
	ToMaster  = 4 // the peers that declared themselves master
	ToGroup   = 5 // the peers of the group whose number is the argument
)

// Built-in handlers, the argument of HANDLE.
const (
	OnlineUserInfo     = 1
	UserStatusUpdate   = 2
	RoleSet            = 3
	UsersStatusRequest = 4
)

// Scopes of a rate limit, the second parameter of RateLimit.
const (
	PerPeer   = 0
	PerTenant = 1
)

// MaxLimits is how many rate limits a policy may have. Their numbers go from 1 on.
const MaxLimits = 63

// A rate, the result of RateLimit, is one unsigned 64-bit integer; 0 is none:
//
//	bits  0–23  PDUs in each period, 1 to 1,000,000
//	bits 24–31  period: 1 is a second, 2 a minute
//	bits 32–55  burst, the PDUs that may come at once; 0 is as many as in a period
//	bits 56–63  zero
const (
	RateMask        = 0xffffff
	RatePeriodShift = 24
	RateBurstShift  = 32
	RateEnd         = 56
)

// Attributes of the sender, the last parameter of Inspect and InspectBody. The
// other bits are reserved and zero.
const (
	AttributeMaster     = 1 << 0 // declared by ROLE_SET
	AttributeGroupShift = 32     // bit 32+n: the sender is in the group of number n
)

// MaxGroups is how many groups a policy may name.
const MaxGroups = 32

/// What happens to a PDU. Begin with a constant or a `to_…`, add flags:
/// `Verdict::DROP.log()`, `Verdict::to_fields(&[1, 2]).not_sender()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[repr(transparent)]
pub struct Verdict(u64);

/// The built-in handlers of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    OnlineUserInfo = 1,
    UserStatusUpdate = 2,
    RoleSet = 3,
    UsersStatusRequest = 4,
}

const UNICAST: u64 = 3;

impl Verdict {
    /// Dropped and counted.
    pub const DROP: Verdict = Verdict(0);
    /// Accepted; nothing is sent.
    pub const CONSUME: Verdict = Verdict(1);
    /// To all peers of the tenant but the sender.
    pub const BROADCAST_EXCEPT_SENDER: Verdict = Verdict(4);
    /// To all peers of the tenant.
    pub const BROADCAST_ALL: Verdict = Verdict(5);
    /// The sender's connection is closed.
    pub const CLOSE: Verdict = Verdict(6);

    /// To a built-in handler.
    pub const fn handle(handler: Handler) -> Verdict {
        Verdict((handler as u64) << 32 | 2)
    }

    /// Back to the sender.
    pub const fn to_sender() -> Verdict {
        Verdict(UNICAST)
    }

    /// To the session of that number.
    pub const fn to_session(session: u32) -> Verdict {
        Verdict((session as u64) << 32 | 1 << 16 | UNICAST)
    }

    /// To the peers that hold the user.
    pub const fn to_user(user: u32) -> Verdict {
        Verdict((user as u64) << 32 | 2 << 16 | UNICAST)
    }

    /// To the peers that hold the users in these fields of the body, 1 to 31.
    /// Any other number, or none at all, is a panic.
    pub const fn to_fields(fields: &[u32]) -> Verdict {
        assert!(!fields.is_empty(), "to_fields takes one field or more");
        let mut mask = 0u64;
        let mut i = 0;
        while i < fields.len() {
            assert!(
                fields[i] >= 1 && fields[i] <= 31,
                "to_fields takes fields 1 to 31"
            );
            mask |= 1 << fields[i];
            i += 1;
        }
        Verdict(mask << 32 | 3 << 16 | UNICAST)
    }

    /// To the peers that declared themselves master.
    pub const fn to_master() -> Verdict {
        Verdict(4 << 16 | UNICAST)
    }

    /// To all peers of the group, by its number in `groups!`.
    pub const fn to_group(group: u32) -> Verdict {
        Verdict((group as u64) << 32 | 5 << 16 | UNICAST)
    }

    /// A copy to the peers of the group as well, beside a unicast or a broadcast.
    pub const fn also_group(self, group: u32) -> Verdict {
        Verdict(self.0 | 1 << 13 | (group as u64 & 31) << 20)
    }

    /// Ask `inspect` about each such PDU; the rest is what happens if that fails.
    pub const fn inspect_header(self) -> Verdict {
        Verdict(self.0 | 1 << 8)
    }

    /// Ask `inspect_body` about each such PDU; the rest is what happens if that fails.
    pub const fn inspect_body(self) -> Verdict {
        Verdict(self.0 | 1 << 9)
    }

    /// Log the PDU's header.
    pub const fn log(self) -> Verdict {
        Verdict(self.0 | 1 << 10)
    }

    /// Leave the sender out of a unicast.
    pub const fn not_sender(self) -> Verdict {
        Verdict(self.0 | 1 << 11)
    }

    /// If a user of a unicast is not known, broadcast except to the sender.
    pub const fn else_broadcast(self) -> Verdict {
        Verdict(self.0 | 1 << 12)
    }

    /// Drop PDUs beyond the rate limit of that number, 1 to 63, of `rate_limit`. What
    /// drops, consumes, closes, or handles users and roles cannot have one.
    pub const fn limit(self, number: u32) -> Verdict {
        Verdict(self.0 & !(63 << 26) | (number as u64 & 63) << 26)
    }

    /// The verdict as the hub reads it.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// How many PDUs a rate limit lets through, 1 to 1,000,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[repr(transparent)]
pub struct Rate(u64);

impl Rate {
    /// No limit. The hub asks `rate_limit` for no further number if neither scope has a rate.
    pub const NONE: Rate = Rate(0);
    /// The scope of a rate that each peer has.
    pub const PER_PEER: u32 = 0;
    /// The scope of a rate that all peers of the tenant have together.
    pub const PER_TENANT: u32 = 1;

    /// That many in a second, and as many at once.
    pub const fn per_second(pdus: u32) -> Rate {
        Rate(pdus as u64 & 0xff_ffff | 1 << 24)
    }

    /// That many in a minute, and as many at once.
    pub const fn per_minute(pdus: u32) -> Rate {
        Rate(pdus as u64 & 0xff_ffff | 2 << 24)
    }

    /// That many at once.
    pub const fn burst(self, pdus: u32) -> Rate {
        Rate(self.0 & 0xffff_ffff | (pdus as u64 & 0xff_ffff) << 32)
    }

    /// The rate as the hub reads it.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

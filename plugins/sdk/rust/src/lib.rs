//! The guest side of Switchyard's policy ABI, version 1: verdicts, the PDU's
//! header, the fields of its body, and the configuration. Nothing here allocates.
//!
//! A policy is a few functions of these types, and a line that exports them:
//!
//! ```ignore
//! fn classify(service: u32, command: u32) -> Verdict
//! fn inspect(pdu: Pdu) -> Verdict
//! fn inspect_body(pdu: Pdu, body: &[u8]) -> Verdict
//! fn configure(config: &[u8]) -> bool // false refuses the configuration
//! fn rate_limit(number: u32, scope: u32) -> Rate // of the limits that verdicts name, from 1 on
//!
//! switchyard::export!(classify, inspect, inspect_body, configure, buffer: 65536);
//! ```
//!
//! Only `classify` is required; `inspect_body` and `configure` need `buffer`, the
//! room in bytes for bodies and the configuration.

#![cfg_attr(not(test), no_std)]

pub mod config;
pub mod fields;
pub mod names;
#[cfg(test)]
mod tests;
mod verdict;

pub use verdict::{Handler, Rate, Verdict};

use core::cell::UnsafeCell;

/// The error of a body whose fields cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The header of a PDU, and what the hub knows of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pdu {
    header_hi: u64,
    header_lo: u64,
    session: u64,
    attributes: u64,
}

impl Pdu {
    /// Takes the parameters of `inspect`.
    pub const fn new(header_hi: u64, header_lo: u64, session: u64, attributes: u64) -> Pdu {
        Pdu {
            header_hi,
            header_lo,
            session,
            attributes,
        }
    }

    /// The length in bytes, the header's 16 included.
    pub const fn length(&self) -> u32 {
        (self.header_hi >> 32) as u32
    }

    pub const fn version(&self) -> u32 {
        (self.header_hi >> 16) as u16 as u32
    }

    pub const fn flag(&self) -> u32 {
        self.header_hi as u16 as u32
    }

    pub const fn service(&self) -> u32 {
        (self.header_lo >> 48) as u16 as u32
    }

    pub const fn command(&self) -> u32 {
        (self.header_lo >> 32) as u16 as u32
    }

    pub const fn sequence(&self) -> u32 {
        (self.header_lo >> 16) as u16 as u32
    }

    pub const fn reserved(&self) -> u32 {
        self.header_lo as u16 as u32
    }

    /// The sender's number in its tenant.
    pub const fn session(&self) -> u64 {
        self.session
    }

    /// Whether the sender is in the group, by its number in `groups!`.
    pub const fn from_group(&self, group: u32) -> bool {
        self.attributes >> (32 + (group & 31)) & 1 != 0
    }

    /// Whether the sender declared itself master.
    pub const fn from_master(&self) -> bool {
        self.attributes & 1 != 0
    }
}

/// The level of a text of [`log`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Writes a text to the server's log. A policy that calls it exports its memory, as
/// every Rust module does. Outside WebAssembly, in a unit test, it does nothing.
pub fn log(level: Level, text: &str) {
    #[cfg(target_arch = "wasm32")]
    // The host only reads, and only these bytes.
    unsafe {
        host::log(level as u32, text.as_ptr(), text.len());
    }
    #[cfg(not(target_arch = "wasm32"))]
    let _ = (level, text);
}

#[cfg(target_arch = "wasm32")]
mod host {
    #[link(wasm_import_module = "switchyard_v1")]
    extern "C" {
        pub fn log(level: u32, text: *const u8, len: usize);
    }
}

/// A panic is a trap: the hub makes a new instance and applies the verdict of `classify`.
#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    core::arch::wasm32::unreachable()
}

/// The room where the host puts bodies and the configuration. [`export`] makes one.
#[doc(hidden)]
pub struct Room<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// A guest has one thread, and the host writes between its calls only.
unsafe impl<const SIZE: usize> Sync for Room<SIZE> {}

impl<const SIZE: usize> Room<SIZE> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Room(UnsafeCell::new([0; SIZE]))
    }

    /// Returns the address of the room, or null if size bytes are too many for it.
    pub fn address(&self, size: u32) -> *mut u8 {
        if size as usize > SIZE {
            return core::ptr::null_mut();
        }
        self.0.get().cast()
    }

    /// Returns what the host has put here: never more than the room.
    pub fn bytes(&self, len: u32) -> &[u8] {
        let all: &[u8; SIZE] = unsafe { &*self.0.get() };
        &all[..(len as usize).min(SIZE)]
    }
}

/// Names the groups of peers that the policy knows: `switchyard::groups!("admin", "archive");`. The
/// first one is group 0. The tenant must have them all.
#[macro_export]
macro_rules! groups {
    ($($name:literal),+) => {
        #[export_name = "switchyard_groups"]
        pub extern "C" fn switchyard_groups() -> u64 {
            static NAMES: &str = concat!($($name, "\n"),+);
            (NAMES.as_ptr() as usize as u64) << 32 | NAMES.len() as u64
        }
    };
}

/// Exports a policy's functions under their names, and the ABI's marker. Each name
/// stands for the function of that name beside it.
#[macro_export]
macro_rules! export {
    ($($name:ident $(: $size:expr)?),+ $(,)?) => {
        #[doc(hidden)]
        pub mod switchyard_exports {
            #[export_name = "switchyard_abi_v1"]
            pub extern "C" fn marker() {}

            $($crate::export_one!($name $($size)?);)+
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! export_one {
    (classify) => {
        #[export_name = "classify"]
        pub extern "C" fn classify(service: u32, command: u32) -> u64 {
            super::classify(service, command).bits()
        }
    };
    (inspect) => {
        #[export_name = "inspect"]
        pub extern "C" fn inspect(hi: u64, lo: u64, session: u64, attributes: u64) -> u64 {
            super::inspect($crate::Pdu::new(hi, lo, session, attributes)).bits()
        }
    };
    (inspect_body) => {
        #[export_name = "inspect_body"]
        pub extern "C" fn inspect_body(
            _: u32,
            len: u32,
            hi: u64,
            lo: u64,
            session: u64,
            attributes: u64,
        ) -> u64 {
            super::inspect_body(
                $crate::Pdu::new(hi, lo, session, attributes),
                ROOM.bytes(len),
            )
            .bits()
        }
    };
    (rate_limit) => {
        #[export_name = "rate_limit"]
        pub extern "C" fn rate_limit(number: u32, scope: u32) -> u64 {
            let rate: $crate::Rate = super::rate_limit(number, scope);
            rate.bits()
        }
    };
    (configure) => {
        #[export_name = "configure"]
        pub extern "C" fn configure(_: u32, len: u32) -> u32 {
            let accepted: bool = super::configure(ROOM.bytes(len));
            !accepted as u32
        }
    };
    (buffer $size:expr) => {
        static ROOM: $crate::Room<{ $size }> = $crate::Room::new();

        #[export_name = "buffer"]
        pub extern "C" fn buffer(size: u32) -> *mut u8 {
            ROOM.address(size)
        }
    };
}

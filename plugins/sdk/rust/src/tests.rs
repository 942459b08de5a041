use std::vec::Vec;

use crate::fields::{self, Field, Fields, Packed, Value, MAX_FIELDS};
use crate::{config, log, Handler, Level, Malformed, Pdu, Rate, Verdict};

#[test]
fn verdicts_have_the_bits_of_the_abi() {
    for (got, want) in [
        (Verdict::DROP, 0),
        (Verdict::DROP.log(), 0x400),
        (Verdict::CONSUME, 1),
        (Verdict::handle(Handler::OnlineUserInfo), 0x1_0000_0002),
        (Verdict::handle(Handler::UserStatusUpdate), 0x2_0000_0002),
        (Verdict::handle(Handler::RoleSet), 0x3_0000_0002),
        (Verdict::handle(Handler::UsersStatusRequest), 0x4_0000_0002),
        (Verdict::to_sender(), 3),
        (Verdict::to_session(7), 0x7_0001_0003),
        (Verdict::to_session(u32::MAX), 0xffff_ffff_0001_0003),
        (Verdict::to_user(1001).not_sender(), 0x3e9_0002_0803),
        (
            Verdict::to_fields(&[1, 2]).not_sender().else_broadcast(),
            0x6_0003_1803,
        ),
        (Verdict::to_fields(&[31]), 0x8000_0000_0003_0003),
        (Verdict::to_master(), 0x4_0003),
        (Verdict::BROADCAST_EXCEPT_SENDER, 4),
        (Verdict::BROADCAST_EXCEPT_SENDER.inspect_header(), 0x104),
        (Verdict::BROADCAST_EXCEPT_SENDER.inspect_body(), 0x204),
        (Verdict::BROADCAST_ALL.log(), 0x405),
        (Verdict::CLOSE, 6),
        (Verdict::BROADCAST_EXCEPT_SENDER.limit(1), 0x400_0004),
        (Verdict::to_group(1), 0x1_0005_0003),
        (Verdict::BROADCAST_EXCEPT_SENDER.also_group(1), 0x10_2004),
        (Verdict::BROADCAST_ALL.limit(9).log().limit(63), 0xfc00_0405),
    ] {
        assert_eq!(got.bits(), want, "{:#x}", want);
    }
}

#[test]
fn rates_have_the_bits_of_the_abi() {
    for (got, want) in [
        (Rate::NONE, 0),
        (Rate::per_second(50), 0x100_0032),
        (Rate::per_minute(30).burst(5), 0x5_0200_001e),
        (
            Rate::per_second(1_000_000).burst(7).burst(1_000_000),
            0xf4240_010f_4240,
        ),
    ] {
        assert_eq!(got.bits(), want, "{:#x}", want);
    }
}

#[test]
fn fields_that_cannot_be_named_are_a_panic() {
    for bad in [&[][..], &[0], &[1, 32], &[u32::MAX]] {
        std::panic::catch_unwind(|| Verdict::to_fields(bad)).expect_err("no panic");
    }
}

#[test]
fn pdu_takes_the_header_apart() {
    let pdu = Pdu::new(0xffff_fffe_0102_0304, 0x0506_0708_090a_0b0c, 1 << 40, 1);
    assert_eq!(
        (pdu.length(), pdu.version(), pdu.flag()),
        (0xffff_fffe, 0x0102, 0x0304)
    );
    assert_eq!((pdu.service(), pdu.command()), (0x0506, 0x0708));
    assert_eq!((pdu.sequence(), pdu.reserved()), (0x090a, 0x0b0c));
    assert_eq!((pdu.session(), pdu.from_master()), (1 << 40, true));
    assert!(!Pdu::new(0, 0, 1, !1).from_master());
}

fn all(message: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
    Fields::new(message)
        .map(|f| f.map(|Field { number, value }| (number, value)))
        .collect()
}

#[test]
fn fields_are_read_in_order() {
    let message =
        b"\x08\xe9\x07\x12\x03abc\x19\x08\x07\x06\x05\x04\x03\x02\x01\x25\x04\x03\x02\x01\x2a\x00";
    let want = [
        (1, Value::Varint(1001)),
        (2, Value::Bytes(b"abc")),
        (3, Value::Fixed64(0x0102030405060708)),
        (4, Value::Fixed32(0x01020304)),
        (5, Value::Bytes(b"")),
    ];
    assert_eq!(all(message), Ok(want.to_vec()));
    let ends = [0, 3, 8, 17, 22, 24];
    for cut in 0..=message.len() {
        let whole = ends.iter().position(|&e| e == cut);
        assert_eq!(
            all(&message[..cut]).ok(),
            whole.map(|n| want[..n].to_vec()),
            "cut at {}",
            cut
        );
    }
}

#[test]
fn the_edges_of_varints_and_tags() {
    for (message, want) in [
        (
            &b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"[..],
            Ok(vec![(1, Value::Varint(u64::MAX))]),
        ),
        (
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7e",
            Ok(vec![(1, Value::Varint(0))]),
        ), // bits above the 64th
        (
            b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00",
            Err(Malformed),
        ), // an eleventh byte
        (b"\x88\x80\x80\x80\x10\x05", Ok(vec![(1, Value::Varint(5))])), // bits above the 32nd
        (b"\x02\x01x", Ok(vec![(0, Value::Bytes(b"x"))])),              // number 0
        (b"\x00\x01", Err(Malformed)),                                  // tag 0
        (b"\x80\x80\x80\x80\x10\x05", Err(Malformed)),                  // tag 0, cut
        (b"\x0a\x80\x80\x80\x80\x08", Err(Malformed)),                  // 2^31 bytes
        (
            b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            Err(Malformed),
        ),
        (b"\x0b\x0c", Err(Malformed)), // a group
        (b"\x0c", Err(Malformed)),
        (b"\x0e", Err(Malformed)),
        (b"\x0f", Err(Malformed)),
    ] {
        assert_eq!(all(message), want, "{:x?}", message);
    }
}

#[test]
fn what_is_malformed_is_the_last() {
    let mut fields = Fields::new(b"\x08\x01\x00\x08\x02");
    assert!(matches!(fields.next(), Some(Ok(_))));
    assert_eq!(fields.next(), Some(Err(Malformed)));
    assert_eq!(fields.next(), None);
    let mut users = fields::integers(b"\x2a\x02\x01\x80\x28\x07", 5);
    assert_eq!(users.next(), Some(Ok(1)));
    assert_eq!(users.next(), Some(Err(Malformed)));
    assert_eq!(users.next(), None);
}

#[test]
fn fields_are_bounded() {
    let most = b"\x08\x01".repeat(MAX_FIELDS as usize);
    assert_eq!(all(&most).map(|f| f.len()), Ok(MAX_FIELDS as usize));
    assert_eq!(all(&[&most[..], b"\x08\x01"].concat()), Err(Malformed));
}

#[test]
fn one_field_is_found() {
    let message = b"\x28\x01\x32\x01a\x28\x02\x32\x02bc\x2a\x00\x30\x05";
    assert_eq!(fields::integer(message, 5), Ok(Some(2)));
    assert_eq!(fields::integer(message, 7), Ok(None));
    assert_eq!(fields::bytes(message, 6), Ok(Some(&b"bc"[..])));
    assert_eq!(fields::bytes(message, 7), Ok(None));
    assert_eq!(fields::integer(b"\x28\x01\x00", 5), Err(Malformed));
    assert_eq!(fields::bytes(b"\x32\x00\x00", 6), Err(Malformed));
}

#[test]
fn integers_are_plain_or_packed() {
    let users = |message| fields::integers(message, 5).collect::<Result<Vec<u64>, _>>();
    assert_eq!(
        users(b"\x28\x01\x2a\x03\x02\xac\x02\x2a\x00\x2d\x01\x02\x03\x04\x30\x09\x28\x03"),
        Ok(vec![1, 2, 300, 3])
    );
    assert_eq!(users(b""), Ok(vec![]));
    assert_eq!(users(b"\x2a\x02\x01\x80\x28\x07"), Err(Malformed)); // goes on behind its list
    assert_eq!(users(b"\x32\x02\x01\x80\x28\x07"), Ok(vec![7])); // no list
}

/// Random bodies, most of them made of pieces of good ones: nothing panics, what is
/// read lies inside of the body and in order, and it reads the same when written again.
#[test]
fn random_bodies_stay_inside() {
    let mut random = Random(0x9e3779b97f4a7c15);
    let (mut good, mut bad) = (0, 0);
    for _ in 0..200_000 {
        let body = random.body();
        let inside = body.as_ptr_range();
        let mut at = inside.start;
        for field in Fields::new(&body).flatten() {
            if let Value::Bytes(b) = field.value {
                assert!(b.as_ptr_range().start > at && b.as_ptr_range().end <= inside.end);
                at = b.as_ptr_range().start;
                Packed::new(b).for_each(drop);
                Fields::new(b).for_each(drop);
            }
        }
        match all(&body) {
            Ok(fields) => {
                good += 1;
                assert_eq!(all(&written(&fields)), Ok(fields), "{:x?}", body);
            }
            Err(Malformed) => bad += 1,
        }
        fields::integers(&body, 5).for_each(drop);
    }
    assert!(
        good > 10_000 && bad > 10_000,
        "{} good, {} malformed",
        good,
        bad
    );
}

fn written(fields: &[(u32, Value)]) -> Vec<u8> {
    let mut out = Vec::new();
    for &(number, value) in fields {
        let wire = match value {
            Value::Varint(_) => 0,
            Value::Fixed64(_) => 1,
            Value::Bytes(_) => 2,
            Value::Fixed32(_) => 5,
        };
        write_varint(&mut out, u64::from(number) << 3 | wire);
        match value {
            Value::Varint(v) => write_varint(&mut out, v),
            Value::Fixed64(v) => out.extend(v.to_le_bytes()),
            Value::Bytes(b) => {
                write_varint(&mut out, b.len() as u64);
                out.extend(b);
            }
            Value::Fixed32(v) => out.extend(v.to_le_bytes()),
        }
    }
    out
}

fn write_varint(out: &mut Vec<u8>, mut v: u64) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn body(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        for _ in 0..self.below(6) {
            let number = self.below(40) << 3;
            match self.below(9) {
                0..=2 => {
                    write_varint(&mut body, number);
                    let bits = self.below(64);
                    write_varint(&mut body, self.0 >> bits);
                }
                3..=5 => {
                    let length = self.below(20);
                    write_varint(&mut body, number | 2);
                    write_varint(&mut body, length);
                    (0..length).for_each(|_| body.push(self.next() as u8));
                }
                6 => {
                    write_varint(&mut body, number | 1);
                    body.extend(self.next().to_le_bytes());
                }
                7 => {
                    write_varint(&mut body, number | 5);
                    body.extend((self.next() as u32).to_le_bytes());
                }
                _ => (0..self.below(14)).for_each(|_| body.push(self.next() as u8)),
            }
        }
        if self.below(3) == 0 {
            body.truncate(self.below(body.len() as u64 + 1) as usize);
        }
        body
    }
}

#[test]
fn an_integer_of_the_configuration() {
    for (text, want) in [
        (r#"{"limit": 100}"#, Some(100)),
        (" \t\r\n{ \"limit\" :\t-7 } ", Some(-7)),
        (r#"{"a": null, "b": [], "limit": 1}"#, None),
        (
            r#"{"a": "}\"limit\": 7,", "b": true, "c": -1.5e+3, "limit": 100, "d": false}"#,
            Some(100),
        ),
        (r#"{"limit": 7, "limit": 8}"#, Some(8)),
        (r#"{"limit": 7, "limit": "8"}"#, None),
        (
            r#"{"limit": 999999999999999999}"#,
            Some(999_999_999_999_999_999),
        ),
        (r#"{"limit": 1000000000000000000}"#, None),
        (r#"{"limit": -0}"#, Some(0)),
        (r#"{"limit": 07}"#, None),
        (r#"{"limit": 1e3}"#, None),
        (r#"{"limit": --1}"#, None),
        (r#"{"limit": -}"#, None),
        (r#"{"limits": 7}"#, None),
        (r#"{"limit": 7,}"#, None),
        (r#"{"limit": 7} x"#, None),
        (r#"{"limit\": 7}"#, None),
        (r#"{"limit"#, None),
        (r#"{"limit": 7"#, None),
        (r#"{"limit": "\"#, None),
        ("{}", None),
        ("", None),
    ] {
        assert_eq!(config::integer(text.as_bytes(), "limit"), want, "{}", text);
        for cut in 0..text.rfind('}').unwrap_or(0) {
            assert_eq!(
                config::integer(&text.as_bytes()[..cut], "limit"),
                None,
                "{} cut at {}",
                text,
                cut
            );
        }
    }
}

mod policy {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    crate::export!(classify, inspect, inspect_body, configure, buffer: 64);

    static USER: AtomicU32 = AtomicU32::new(0);

    fn configure(text: &[u8]) -> bool {
        USER.store(text.len() as u32, Relaxed);
        !text.is_empty()
    }

    fn classify(service: u32, command: u32) -> Verdict {
        Verdict::to_session(service << 16 | command)
    }

    fn inspect(pdu: Pdu) -> Verdict {
        log(Level::Info, "nobody hears this");
        Verdict::to_session(pdu.command())
    }

    fn inspect_body(pdu: Pdu, body: &[u8]) -> Verdict {
        Verdict::to_user(body.len() as u32 + pdu.length() + USER.load(Relaxed))
    }
}

#[test]
fn export_hands_parameters_on() {
    use policy::switchyard_exports as exports;
    exports::marker();
    assert_eq!(exports::configure(0, 0), 1);
    assert_eq!(exports::configure(0, 2), 0);
    assert_eq!(
        exports::classify(3, 0x301),
        Verdict::to_session(0x30301).bits()
    );
    assert_eq!(
        exports::inspect(0, 0x301 << 32, 1, 0),
        Verdict::to_session(0x301).bits()
    );
    assert_eq!(
        exports::inspect_body(0, 64, 16 << 32, 0, 1, 0),
        Verdict::to_user(82).bits()
    );
    assert_eq!(
        exports::inspect_body(0, 65, 16 << 32, 0, 1, 0),
        Verdict::to_user(82).bits()
    ); // never beyond the room
    assert!(!exports::buffer(64).is_null());
    assert!(exports::buffer(65).is_null());
}

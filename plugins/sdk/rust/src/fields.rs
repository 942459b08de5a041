//! The protobuf fields of a body, one after the other. Nothing outside the slice
//! is read, nothing is allocated, and the work is bounded: 256 fields, and the
//! slice's length.

use crate::Malformed;

/// How many fields [`Fields`] reads; one more counts as malformed. So a scan ends
/// within the fuel of a call, however the body was made.
pub const MAX_FIELDS: u32 = 256;

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub number: u32,
    pub value: Value<'a>,
}

/// The value of a field, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    /// Bytes, a string, a message (for [`Fields::new`]) or packed varints (for
    /// [`Packed::new`]).
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The fields of a message in order. A malformed field is the last item.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Fields<'a> {
    pub const fn new(message: &'a [u8]) -> Fields<'a> {
        Fields {
            rest: message,
            left: MAX_FIELDS,
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = match self.left {
            0 => Err(Malformed),
            _ => field(&mut self.rest),
        };
        self.left = self.left.saturating_sub(1);
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Varints in a row. A malformed varint is the last item.
#[derive(Clone, Debug)]
pub struct Packed<'a> {
    rest: &'a [u8],
}

impl<'a> Packed<'a> {
    pub const fn new(bytes: &'a [u8]) -> Packed<'a> {
        Packed { rest: bytes }
    }
}

impl<'a> Iterator for Packed<'a> {
    type Item = Result<u64, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let value = varint(&mut self.rest);
        if value.is_err() {
            self.rest = &[];
        }
        Some(value)
    }
}

/// The varints in one field of a message, plain or packed, in order. A fault in
/// the message or in a packed list is the last item.
#[derive(Clone, Debug)]
pub struct Integers<'a> {
    fields: Fields<'a>,
    packed: Packed<'a>,
    number: u32,
}

/// Returns the varints in field `number` of the message.
pub const fn integers(message: &[u8], number: u32) -> Integers<'_> {
    Integers {
        fields: Fields::new(message),
        packed: Packed::new(&[]),
        number,
    }
}

impl<'a> Iterator for Integers<'a> {
    type Item = Result<u64, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(v) = self.packed.next() {
                if v.is_err() {
                    self.fields.rest = &[];
                }
                return Some(v);
            }
            match self.fields.next()? {
                Ok(Field { number, value }) if number == self.number => match value {
                    Value::Varint(v) => return Some(Ok(v)),
                    Value::Bytes(b) => self.packed = Packed::new(b),
                    _ => {}
                },
                Ok(_) => {}
                Err(e) => return Some(Err(e)),
            }
        }
    }
}

/// Returns the varint in field `number` of the message, the last if there are
/// several. A field of another wire type counts as absent.
pub fn integer(message: &[u8], number: u32) -> Result<Option<u64>, Malformed> {
    let mut found = None;
    for field in Fields::new(message) {
        let field = field?;
        match field.value {
            Value::Varint(v) if field.number == number => found = Some(v),
            _ => {}
        }
    }
    Ok(found)
}

/// Returns the bytes in field `number` of the message, the last if there are
/// several. A field of another wire type counts as absent.
pub fn bytes(message: &[u8], number: u32) -> Result<Option<&[u8]>, Malformed> {
    let mut found = None;
    for field in Fields::new(message) {
        let field = field?;
        match field.value {
            Value::Bytes(b) if field.number == number => found = Some(b),
            _ => {}
        }
    }
    Ok(found)
}

// Each of these functions removes what it reads from the front of rest.

fn field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, Malformed> {
    let tag = varint(rest)? as u32; // bits above the 32nd are lost
    if tag == 0 {
        return Err(Malformed);
    }
    let value = match tag & 7 {
        0 => Value::Varint(varint(rest)?),
        1 => Value::Fixed64(little_endian(take(rest, 8)?)),
        2 => {
            let length = varint(rest)?;
            Value::Bytes(take(rest, length)?)
        }
        5 => Value::Fixed32(little_endian(take(rest, 4)?) as u32),
        _ => return Err(Malformed), // 3 and 4 are groups, which no message has; 6 and 7 are undefined
    };
    Ok(Field {
        number: tag >> 3,
        value,
    })
}

/// One to ten bytes, least significant first. Bits above the 64th are lost.
fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut v = 0;
    for (i, &c) in rest.iter().take(10).enumerate() {
        v |= u64::from(c & 0x7f) << (7 * i);
        if c < 0x80 {
            *rest = &rest[i + 1..];
            return Ok(v);
        }
    }
    Err(Malformed)
}

fn take<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], Malformed> {
    if length > rest.len() as u64 {
        return Err(Malformed);
    }
    let (taken, left) = rest.split_at(length as usize);
    *rest = left;
    Ok(taken)
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |v, &c| v << 8 | u64::from(c))
}

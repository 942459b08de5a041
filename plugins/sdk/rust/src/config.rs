//! Reads one integer of the configuration, a flat JSON object, without copying it.

/// Returns the integer with that key. It is `None` if there is none: no such key,
/// a value that is not an integer of at most 18 digits, an object that is not flat, or
/// text that is not an object. If the key occurs more than once, the last decides.
///
/// Keys are compared byte by byte, escapes and all.
pub fn integer(config: &[u8], key: &str) -> Option<i64> {
    let mut text = Text(config);
    let mut found = None;
    text.blanks();
    text.expect(b'{')?;
    text.blanks();
    if text.expect(b'}').is_none() {
        loop {
            let name = text.string()?;
            text.blanks();
            text.expect(b':')?;
            text.blanks();
            let value = text.value()?;
            if name == key.as_bytes() {
                found = value;
            }
            text.blanks();
            if text.expect(b'}').is_some() {
                break;
            }
            text.expect(b',')?;
            text.blanks();
        }
    }
    text.blanks();
    match text.0 {
        [] => found,
        _ => None,
    }
}

/// The rest of the text. Each function removes what it reads from the front, and
/// returns None if something else is there.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn blanks(&mut self) {
        self.run(|c| matches!(c, b' ' | b'\t' | b'\n' | b'\r'));
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self
            .0
            .iter()
            .position(|&c| !belongs(c))
            .unwrap_or(self.0.len());
        let (taken, left) = self.0.split_at(end);
        self.0 = left;
        taken
    }

    fn expect(&mut self, c: u8) -> Option<()> {
        let (&first, left) = self.0.split_first()?;
        if first != c {
            return None;
        }
        self.0 = left;
        Some(())
    }

    /// The text between two quotes. A backslash escapes the next byte.
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let mut end = 0;
        while *self.0.get(end)? != b'"' {
            end += if self.0[end] == b'\\' { 2 } else { 1 };
        }
        let taken = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(taken)
    }

    /// A value, and its integer if it is one.
    fn value(&mut self) -> Option<Option<i64>> {
        if self.0.first() == Some(&b'"') {
            self.string()?;
            return Some(None);
        }
        for word in [&b"true"[..], b"false", b"null"] {
            if let Some(left) = self.0.strip_prefix(word) {
                self.0 = left;
                return Some(None);
            }
        }
        let number = self.run(|c| matches!(c, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'));
        match number {
            [] => None,
            [b'-', digits @ ..] => Some(decimal(digits).map(|n| -n)),
            digits => Some(decimal(digits)),
        }
    }
}

/// 1 to 18 digits, the first not 0 unless it is alone.
fn decimal(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > 18 || digits.len() > 1 && digits[0] == b'0' {
        return None;
    }
    digits.iter().try_fold(0, |n, c| {
        c.is_ascii_digit().then(|| n * 10 + i64::from(c - b'0'))
    })
}

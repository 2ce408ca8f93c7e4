//! Text in blocks of 64 bytes, each as a few words with a bit for each byte.
//!
//! Job: say of 64 bytes at once which of them are letters, digits, colons, or begin something that is no word. Boundary:
//! what follows from that is `Starts`' to say. Failure mode: none; behind its end a text is zeros.

/// What is known of 64 bytes: the lowest bit is the first byte's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bits {
    /// Letters, digits and `_`.
    pub(super) words: u64,
    pub(super) digits: u64,
    pub(super) colons: u64,
    /// `+` or `(` before a digit, five dashes, and `aws` in any case.
    pub(super) marks: u64,
}

impl Bits {
    /// Of the bytes from `at` on.
    pub(super) fn of(text: &[u8], at: usize) -> Self {
        let rest = text.get(at..).unwrap_or_default();
        if let Some(window) = rest.first_chunk() {
            return Self::of_window(window);
        }
        if rest.is_empty() {
            return Self::default();
        }
        let mut window = [0; WINDOW];
        if let Some(padded) = window.get_mut(..rest.len()) {
            padded.copy_from_slice(rest);
        }
        Self::of_window(&window)
    }

    fn of_window(window: &[u8; WINDOW]) -> Self {
        let [bytes, second, third, fourth, fifth] = [0, 1, 2, 3, 4].map(|by| shifted(window, by));
        let digits = flags(bytes, |byte| byte.wrapping_sub(b'0') < 10);
        let words = flags(bytes, |byte| {
            (byte.wrapping_sub(b'0') < 10) | ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte == b'_')
        });
        let mut marks = [0; BLOCK];
        for (((mark, a), b), c) in marks.iter_mut().zip(bytes).zip(second).zip(third) {
            let number = ((*a == b'+') | (*a == b'(')) & (b.wrapping_sub(b'0') < 10);
            let aws = (*a | 0x20 == b'a') & (*b | 0x20 == b'w') & (*c | 0x20 == b's');
            *mark = u8::from(number | aws);
        }
        for ((((mark, a), b), d), e) in marks.iter_mut().zip(bytes).zip(second).zip(fourth).zip(fifth) {
            *mark |= u8::from((*a == b'-') & (*b == b'-') & (*d == b'-') & (*e == b'-'));
        }
        Self {
            words: gathered(&words),
            digits: gathered(&digits),
            colons: gathered(&flags(bytes, |byte| byte == b':')),
            marks: gathered(&marks),
        }
    }
}

fn shifted(window: &[u8; WINDOW], by: usize) -> &[u8; BLOCK] {
    window.get(by..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; BLOCK])
}

#[inline(always)]
fn flags(bytes: &[u8; BLOCK], is: impl Fn(u8) -> bool) -> [u8; BLOCK] {
    let mut flags = [0; BLOCK];
    for (flag, byte) in flags.iter_mut().zip(bytes) {
        *flag = u8::from(is(*byte));
    }
    flags
}

/// The lowest bits of 64 bytes. The product moves those of eight to its highest byte.
fn gathered(flags: &[u8; BLOCK]) -> u64 {
    let (eights, _) = flags.as_chunks::<8>();
    eights.iter().rev().fold(0, |bits, eight| {
        bits << 8 | u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56
    })
}

pub(super) const BLOCK: usize = 64;
/// A block, and as much behind it as its last byte's mark needs.
const WINDOW: usize = BLOCK + 4;

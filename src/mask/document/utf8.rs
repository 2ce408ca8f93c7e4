//! Whether a stream is UTF-8, piece by piece.

/// The check, with the part of a character that the last piece ended in.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    carry: [u8; 4],
    carried: usize,
}

impl Utf8 {
    /// Whether the stream is UTF-8 up to here, perhaps but for the rest of its last character.
    pub(super) fn feed(&mut self, mut input: &[u8]) -> bool {
        while self.carried > 0 {
            let Some((byte, rest)) = input.split_first() else { return true };
            input = rest;
            let Some(place) = self.carry.get_mut(self.carried) else { return false };
            *place = *byte;
            self.carried += 1;
            match std::str::from_utf8(self.carry.get(..self.carried).unwrap_or_default()) {
                Ok(_) => self.carried = 0,
                Err(fault) if fault.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        match std::str::from_utf8(input) {
            Ok(_) => true,
            Err(fault) if fault.error_len().is_some() => false,
            Err(fault) => {
                let rest = input.get(fault.valid_up_to()..).unwrap_or_default();
                for (place, byte) in self.carry.iter_mut().zip(rest) {
                    *place = *byte;
                }
                self.carried = rest.len();
                true
            }
        }
    }

    /// Whether the stream ended with a whole character.
    pub(super) fn is_whole(&self) -> bool {
        self.carried == 0
    }
}

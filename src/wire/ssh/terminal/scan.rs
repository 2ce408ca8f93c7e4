//! Which of a terminal's bytes are shown, and which steer it (ECMA-48 §5; xterm's reading of it).

/// Where in a sequence the stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Scan {
    /// Inside a control sequence: `ESC [`.
    Control,
    /// Behind ESC.
    Escape,
    /// Behind ESC and an intermediate byte.
    Escaped,
    #[default]
    Ground,
    /// Behind the first byte of a two-byte C1 control, if it becomes one.
    Lead,
    /// Inside OSC, DCS, SOS, PM or APC.
    Text,
    /// Inside one of them, behind ESC.
    TextEscape,
}

/// What a byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Backspace,
    /// Part of the text of an OSC, DCS, SOS, PM or APC.
    Inner,
    /// Line feed, carriage return, tab.
    Space,
    /// Part of a sequence, or a control without a meaning here.
    Steer,
    /// Shown.
    Text,
    /// Part of a sequence, and so is the byte before it.
    Trail,
}

impl Scan {
    /// Takes the next byte.
    pub(super) fn step(&mut self, byte: u8) -> Kind {
        let (next, kind) = match (*self, byte) {
            // CAN and SUB end everything, ESC begins anew
            (_, 0x18 | 0x1a) => (Self::Ground, Kind::Steer),
            (Self::Text, 0x1b) => (Self::TextEscape, Kind::Steer),
            (Self::TextEscape, b'\\') => (Self::Ground, Kind::Steer),
            (_, 0x1b) => (Self::Escape, Kind::Steer),
            (Self::Text, 0x07) => (Self::Ground, Kind::Steer),
            (Self::Text, _) => (Self::Text, Kind::Inner),
            (Self::Escape | Self::TextEscape, b'[') => (Self::Control, Kind::Steer),
            (Self::Escape | Self::TextEscape, b']' | b'P' | b'X' | b'^' | b'_') => (Self::Text, Kind::Steer),
            (Self::Escape | Self::TextEscape | Self::Escaped, 0x20..=0x2f) => (Self::Escaped, Kind::Steer),
            (Self::Escape | Self::TextEscape | Self::Escaped, 0x30..=0x7e) => (Self::Ground, Kind::Steer),
            (Self::Control, 0x40..=0x7e) => (Self::Ground, Kind::Steer),
            // a control inside a sequence is carried out as if it came before
            (state @ (Self::Control | Self::Escape | Self::Escaped | Self::TextEscape), 0..=0x1f) => {
                (state, plain(byte))
            }
            (Self::Control, 0x20..=0x3f) => (Self::Control, Kind::Steer),
            (Self::Lead, 0x9b) => (Self::Control, Kind::Trail),
            (Self::Lead, 0x90 | 0x98 | 0x9d..=0x9f) => (Self::Text, Kind::Trail),
            (Self::Lead, 0x80..=0x9f) => (Self::Ground, Kind::Trail),
            (_, 0xc2) => (Self::Lead, Kind::Text),
            (_, byte) => (Self::Ground, plain(byte)),
        };
        *self = next;
        kind
    }

    /// Whether this is inside a text that is not shown.
    pub(super) fn is_inner(self) -> bool {
        matches!(self, Self::Text | Self::TextEscape)
    }
}

fn plain(byte: u8) -> Kind {
    match byte {
        0x08 => Kind::Backspace,
        b'\t' | b'\n' | b'\r' => Kind::Space,
        0..=0x1f | 0x7f => Kind::Steer,
        _ => Kind::Text,
    }
}

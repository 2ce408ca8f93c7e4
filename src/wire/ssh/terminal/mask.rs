//! Masks a terminal's output.

use std::ops::Range;

use bytes::{BufMut as _, BytesMut};
use unicode_width::UnicodeWidthChar as _;

use super::scan::{Kind, Scan};

/// Finds what must not be shown.
pub trait Detector {
    /// Where in this text it is, as byte ranges. The text is what a terminal would show, without escape
    /// sequences; a line's end is `\r`, `\n` or both.
    fn find(&self, text: &str) -> Vec<Range<usize>>;

    /// How many bytes at the end of the text could be the beginning of something: those are held back.
    /// Whoever does not know holds all back that may be.
    fn undecided(&self, text: &str) -> usize {
        text.len()
    }
}

impl<F: Fn(&str) -> Vec<Range<usize>>> Detector for F {
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        self(text)
    }
}

/// A filter for a terminal's output. What a detector finds is replaced by as many `*` as it takes
/// columns; escape sequences stay where they are. Texts inside sequences (titles, links) are
/// searched as well, each by itself.
///
/// Call [`handle`](Self::handle) with what the host printed, and [`flush`](Self::flush) when nothing came
/// for a few milliseconds: what is held back is shown then, if nothing was found in it. Whatever was shown is
/// remembered, so that the rest of something that a flush cut is still masked; its beginning was seen.
///
/// Anything of up to `hold` bytes that arrives without a pause is masked whole. Longer ones may show their
/// beginning. See the module above it for what no such filter can do.
#[derive(Debug)]
pub struct Mask {
    hold: usize,
    scan: Scan,
    /// What was shown and is remembered, then what is held back.
    window: Vec<Cell>,
    /// How many of the window's cells were shown.
    shown: usize,
}

impl Mask {
    /// A filter that holds back that many bytes of text.
    #[must_use]
    pub fn new(hold: usize) -> Self {
        Self { hold, scan: Scan::default(), window: Vec::new(), shown: 0 }
    }

    /// Takes output of the host and appends what may be shown.
    pub fn handle(&mut self, bytes: &[u8], detector: &impl Detector, out: &mut BytesMut) {
        // pieces, so that the window stays small whatever comes at once
        for piece in bytes.chunks(PIECE) {
            for byte in piece {
                let kind = self.scan.step(*byte);
                if let (Kind::Trail, Some(before)) = (kind, self.window.last_mut()) {
                    before.kind = Kind::Steer;
                }
                self.window.push(Cell { byte: *byte, kind, masked: false });
            }
            let undecided = self.search(detector);
            let end = self.held_from(undecided);
            self.show(end, out);
        }
    }

    /// Appends everything that is held back.
    pub fn flush(&mut self, detector: &impl Detector, out: &mut BytesMut) {
        self.search(detector);
        self.show(self.window.len(), out);
    }

    /// How many bytes are held back.
    #[must_use]
    pub fn held(&self) -> usize {
        self.window.len() - self.shown
    }

    /// Marks what is found; returns where in the window begins what is undecided.
    fn search(&mut self, detector: &impl Detector) -> usize {
        let text = self.view(|kind| matches!(kind, Kind::Text | Kind::Space));
        self.mark(&text, Kind::Text, detector);
        if self.window.iter().any(|cell| cell.kind == Kind::Backspace) {
            // what is typed over counts as well: `S\bSE\bE` shows `SE`
            let over = self.view(|kind| matches!(kind, Kind::Text | Kind::Space | Kind::Backspace));
            self.mark(&over, Kind::Text, detector);
        }
        let inner = self.view(|kind| kind == Kind::Inner);
        self.mark(&inner, Kind::Inner, detector);
        let undecided = |view: &View| {
            let count = detector.undecided(&view.text).min(self.hold).min(view.places.len());
            let first = view.places.get(view.places.len() - count);
            first.map_or(self.window.len(), |(first, _)| *first)
        };
        let text = undecided(&text);
        if self.scan.is_inner() { text.min(undecided(&inner)) } else { text }
    }

    /// The text of the cells of these kinds, and where in the window each of its bytes is. What is not UTF-8
    /// is left out.
    fn view(&self, wanted: impl Fn(Kind) -> bool) -> View {
        let mut bytes = Vec::new();
        let mut places = Vec::new();
        let mut over = None;
        for (place, cell) in self.window.iter().enumerate().filter(|(_, cell)| wanted(cell.kind)) {
            if cell.kind == Kind::Backspace {
                // the whole of the character before it
                while bytes.pop().is_some_and(|byte: u8| byte & 0xc0 == 0x80) {
                    places.pop();
                }
                // what is typed over goes with what is typed over it
                if let Some((first, _)) = places.pop() {
                    over = Some(first);
                }
                continue;
            }
            bytes.push(cell.byte);
            places.push((over.take().unwrap_or(place), place));
        }
        let mut view = View { text: String::with_capacity(bytes.len()), places: Vec::new() };
        let mut places = places.into_iter();
        for chunk in bytes.utf8_chunks() {
            view.text.push_str(chunk.valid());
            view.places.extend(places.by_ref().take(chunk.valid().len()));
            places.by_ref().take(chunk.invalid().len()).for_each(drop);
        }
        view
    }

    fn mark(&mut self, view: &View, kind: Kind, detector: &impl Detector) {
        if view.text.is_empty() {
            return;
        }
        for range in detector.find(&view.text) {
            let Some(places) = view.places.get(range) else { continue };
            let (Some((first, _)), Some((_, last))) = (places.first(), places.last()) else { continue };
            for cell in self.window.iter_mut().take(last + 1).skip(*first) {
                cell.masked |= cell.kind == kind;
            }
        }
    }

    /// Where in the window begins what is held back.
    fn held_from(&self, mut from: usize) -> usize {
        // a character that is not whole yet
        let tail = self.window.iter().enumerate().rev().take(3);
        let lead = tail.clone().position(|(_, cell)| cell.byte & 0xc0 != 0x80);
        if let Some((place, cell)) = lead.and_then(|back| tail.clone().nth(back)) {
            let length = match cell.byte {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            if self.window.len() - place < length {
                from = from.min(place);
            }
        }
        // a character is not cut; sequences between few letters do not fill the memory
        while from > 0 && self.window.get(from).is_some_and(|cell| cell.byte & 0xc0 == 0x80) {
            from -= 1;
        }
        from.max(self.window.len().saturating_sub(self.hold + SEQUENCES)).max(self.shown)
    }

    fn show(&mut self, end: usize, out: &mut BytesMut) {
        let mut cells = self.window.iter().take(end).skip(self.shown).peekable();
        while let Some(cell) = cells.next() {
            if !cell.masked {
                out.put_u8(cell.byte);
                continue;
            }
            let mut character = vec![cell.byte];
            while let Some(next) = cells.next_if(|next| next.kind == cell.kind && next.byte & 0xc0 == 0x80) {
                character.push(next.byte);
            }
            let shown = std::str::from_utf8(&character).ok().and_then(|text| text.chars().next());
            out.put_bytes(b'*', shown.map_or(1, |c| c.width().unwrap_or(0)));
        }
        self.shown = end.max(self.shown);
        let remembered = self.hold + SEQUENCES;
        let forgotten = self.shown.saturating_sub(remembered);
        self.window.drain(..forgotten);
        self.shown -= forgotten;
    }
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    byte: u8,
    kind: Kind,
    masked: bool,
}

struct View {
    text: String,
    /// For each byte of the text the first and the last cell that belong to it.
    places: Vec<(usize, usize)>,
}

/// How much is searched at once.
const PIECE: usize = 8192;

/// How many bytes of sequences may stand between the letters that are held back or remembered.
const SEQUENCES: usize = 1024;

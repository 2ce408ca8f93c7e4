//! The masks of one principal on the documents of one target, made ready for streaming.
//!
//! All paths together are one automaton: each segment of each path is a bit, a set bit says that the
//! segment is awaited below the value at hand. A child's bits follow from its parent's with a shift
//! and two ands, whatever the number of rules (the shift-and method). The bit after a path's last segment says that the
//! value is protected.

use std::sync::Arc;

use super::detect::{Detectors, Named};
use super::hidden::{MASKED, TokenKey};
use super::path::{DocumentPath, Selector};
use crate::domain::item::{ItemStep, Reach};
use crate::domain::mask::Mask;
use crate::domain::name::RuleName;

/// One protected place of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRule {
    /// The name that `explain` and the ledger show.
    pub name: RuleName,
    /// Where the protected values are.
    pub path: DocumentPath,
    /// What the client gets instead.
    pub mask: Mask,
}

/// How member names are compared with the names in paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyCase {
    /// As RFC 9535 does: every character counts.
    #[default]
    Exact,
    /// `API_KEY` is `api_key`: upper and lower case of ASCII letters are one.
    Ignore,
}

/// The rules that bind one principal, compiled.
#[derive(Debug)]
pub struct DocumentPlan {
    /// Which segments are awaited at the root.
    initial: Live,
    /// Segments that are still awaited further below (`..`).
    stay: Live,
    /// Segments that are still awaited in the elements of an array.
    through: Live,
    /// Segments that any member fulfils.
    any_member: Live,
    /// Segments that any element fulfils.
    any_element: Live,
    /// The names in paths, and which segments each fulfils.
    names: Vec<(Box<[u8]>, Live)>,
    /// The lengths that names have, one bit each; the last bit for all longer ones.
    lengths: u64,
    longest: usize,
    /// Segments that some elements fulfil, with the elements' places.
    slices: Vec<(Live, Places)>,
    sliced: Live,
    /// The bits after the last segments, and what they ask for; strictest first.
    ends: Vec<(Live, Mask)>,
    end: Live,
    /// The bit after the last segment of what is counted.
    counted: Live,
    /// How many bits are in use.
    used: u32,
    /// Masks by the name in a path's last segment, for formats without depth; strictest first. `None`
    /// stands for every name.
    flat: Vec<(Option<Box<[u8]>>, Mask)>,
    case: KeyCase,
    key: Option<TokenKey>,
    detectors: Option<Arc<Detectors>>,
}

/// A set of segments.
pub(super) type Live = u128;

#[derive(Debug, Clone, Copy)]
struct Places {
    start: u64,
    end: u64,
    step: u64,
}

impl DocumentPlan {
    /// Compiles rules. Where several protect one value, the strictest mask holds: null, full, token, partial.
    ///
    /// # Errors
    /// When the paths have more than 128 segments and ends together.
    pub fn new(rules: &[DocumentRule], case: KeyCase) -> Result<Self, PlanError> {
        let mut plan = Self {
            initial: 0,
            stay: 0,
            through: 0,
            any_member: 0,
            any_element: 0,
            names: Vec::new(),
            lengths: 0,
            longest: 0,
            slices: Vec::new(),
            sliced: 0,
            ends: Vec::new(),
            end: 0,
            counted: 0,
            used: 0,
            flat: Vec::new(),
            case,
            key: None,
            detectors: None,
        };
        for rule in rules {
            let bit = plan.path(&rule.path)?;
            plan.end |= bit;
            plan.ends.push((bit, rule.mask));
            let last = rule.path.segments().last();
            for selector in last.map_or(&[Selector::Wildcard][..], |segment| &segment.selectors) {
                let name = match selector {
                    Selector::Name(name) => Some(name.as_bytes().into()),
                    Selector::Slice { .. } | Selector::Wildcard => None,
                };
                plan.flat.push((name, rule.mask));
            }
        }
        plan.ends.sort_by_key(|(_, mask)| std::cmp::Reverse(strictness(*mask)));
        plan.flat.sort_by_key(|(_, mask)| std::cmp::Reverse(strictness(*mask)));
        Ok(plan)
    }

    /// With the key that tokens are computed with. Without one, tokens are full masks.
    #[must_use]
    pub fn with_tokens(self, key: TokenKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// With detectors for text.
    #[must_use]
    pub fn with_detectors(self, detectors: Arc<Detectors>) -> Self {
        Self { detectors: Some(detectors), ..self }
    }

    /// With what is counted in a document.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_items(mut self, path: &DocumentPath) -> Result<Self, PlanError> {
        self.counted = self.path(path)?;
        Ok(self)
    }

    /// Whether no path is protected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// The names that occur in paths: a field whose name is among them must not be given another name in
    /// the answer (a GraphQL alias), or the paths no longer find it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().filter_map(|(name, _)| std::str::from_utf8(name).ok())
    }

    /// How a place in a document lies to what is protected. A path with `..` may have something below every place.
    #[must_use]
    pub fn reach(&self, path: &[ItemStep]) -> Reach {
        let mut live = self.initial;
        for step in path {
            if self.mask(live).is_some() {
                return Reach::Within;
            }
            live = self.step(live, step);
        }
        match live {
            _ if self.mask(live).is_some() => Reach::Within,
            0 => Reach::Clear,
            _ => Reach::Above,
        }
    }

    /// Whether elements of the list at this place are protected by where they stand in it: not if all are.
    #[must_use]
    pub fn protects_by_place(&self, list: &[ItemStep]) -> bool {
        let live = list.iter().fold(self.initial, |live, step| self.step(live, step));
        // what comes down the first places of a list stays among them
        let moves = |places: &Places| places.start > 0 || places.step > 1;
        self.slices.iter().any(|(segments, places)| live & segments != 0 && moves(places))
    }

    fn step(&self, live: Live, step: &ItemStep) -> Live {
        match step {
            ItemStep::Index(place) => self.element(live, *place),
            ItemStep::Name(name) => self.member(live, name.as_bytes()),
        }
    }

    pub(super) fn detectors(&self) -> Option<Arc<Detectors>> {
        self.detectors.clone()
    }

    pub(super) fn has_detectors(&self) -> bool {
        self.detectors.is_some()
    }

    /// A text with what detectors find in it masked, and how often; `None` when they find nothing.
    pub(super) fn detected(&self, text: &str) -> Option<(String, u64)> {
        self.detected_in(text, Named::default())
    }

    /// What the name of a field says of numbers in it.
    pub(super) fn named_by(&self, name: &str) -> Named {
        self.detectors.as_ref().map_or_else(Named::default, |detectors| detectors.named_by(name))
    }

    /// The same as [`Self::detected`] in a value whose name may say what numbers in it are.
    pub(super) fn detected_in(&self, text: &str, named: Named) -> Option<(String, u64)> {
        let found = self.detectors.as_ref()?.find_value(text.as_bytes(), named);
        let (mut shown, mut from) = (String::new(), 0);
        for place in &found {
            shown.push_str(text.get(from..place.start).unwrap_or_default());
            shown.push_str(MASKED);
            from = place.end;
        }
        shown.push_str(text.get(from..).unwrap_or_default());
        (!found.is_empty()).then_some((shown, found.len() as u64))
    }

    /// Whether something is counted.
    pub(super) fn counts(&self) -> bool {
        self.counted != 0
    }

    /// Whether a value of which this is awaited is counted.
    pub(super) fn is_counted(&self, live: Live) -> bool {
        live & self.counted != 0
    }

    pub(super) fn case(&self) -> KeyCase {
        self.case
    }

    pub(super) fn key(&self) -> Option<&TokenKey> {
        self.key.as_ref()
    }

    pub(super) fn initial(&self) -> Live {
        self.initial
    }

    /// How long a name can be and still be in a path.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// What is awaited in a member.
    pub(super) fn member(&self, live: Live, name: &[u8]) -> Live {
        let mut fulfilled = self.any_member;
        if self.lengths & length_bit(name.len()) != 0 {
            let named = self.names.iter().find(|(known, _)| match self.case {
                KeyCase::Exact => **known == *name,
                KeyCase::Ignore => known.eq_ignore_ascii_case(name),
            });
            fulfilled |= named.map_or(0, |(_, segments)| *segments);
        }
        ((live & fulfilled) << 1) | (live & self.stay)
    }

    /// What is awaited in the element of an array at this place.
    pub(super) fn element(&self, live: Live, place: u64) -> Live {
        let mut fulfilled = self.any_element;
        if live & self.sliced != 0 {
            for (segments, places) in &self.slices {
                let inside = (places.start..places.end).contains(&place);
                if inside && (place - places.start).is_multiple_of(places.step) {
                    fulfilled |= segments;
                }
            }
        }
        ((live & fulfilled) << 1) | (live & (self.stay | self.through))
    }

    /// The mask of a value of which this is awaited.
    pub(super) fn mask(&self, live: Live) -> Option<Mask> {
        if live & self.end == 0 {
            return None;
        }
        self.ends.iter().find(|(end, _)| live & end != 0).map(|(_, mask)| *mask)
    }

    /// The mask of a field in a format without depth: every path counts that ends in the field's name, or in a part
    /// of it as `user.key`, `user[key]`, `user/key` and `key[0]` are written, spaces around and case aside, or in no name.
    pub(super) fn flat(&self, name: &[u8]) -> Option<Mask> {
        let name = name.trim_ascii();
        let parts = || name.split(|byte| matches!(byte, b'.' | b'[' | b']' | b'/')).map(<[u8]>::trim_ascii);
        let matches = |known: &Option<Box<[u8]>>| {
            known.as_ref().is_none_or(|known| {
                known.eq_ignore_ascii_case(name) || parts().any(|part| known.eq_ignore_ascii_case(part))
            })
        };
        self.flat.iter().find(|(known, _)| matches(known)).map(|(_, mask)| *mask)
    }

    /// Takes a path up; the bit after its last segment.
    fn path(&mut self, path: &DocumentPath) -> Result<Live, PlanError> {
        let mut bit = self.bit()?;
        self.initial |= bit;
        for segment in path.segments() {
            self.stay |= if segment.descend { bit } else { 0 };
            self.through |= if segment.through { bit } else { 0 };
            for selector in &segment.selectors {
                self.add(bit, selector);
            }
            bit = self.bit()?;
        }
        Ok(bit)
    }

    /// The next bit that is free.
    fn bit(&mut self) -> Result<Live, PlanError> {
        let bit = (1 as Live).checked_shl(self.used).ok_or(PlanError)?;
        self.used += 1;
        Ok(bit)
    }

    fn add(&mut self, bit: Live, selector: &Selector) {
        match selector {
            Selector::Name(name) => {
                let name = name.as_bytes();
                self.lengths |= length_bit(name.len());
                self.longest = self.longest.max(name.len());
                let same = |known: &[u8]| match self.case {
                    KeyCase::Exact => known == name,
                    KeyCase::Ignore => known.eq_ignore_ascii_case(name),
                };
                match self.names.iter_mut().find(|(known, _)| same(known)) {
                    Some((_, segments)) => *segments |= bit,
                    None => self.names.push((name.into(), bit)),
                }
            }
            Selector::Slice { start, end, step } => {
                self.sliced |= bit;
                self.slices.push((bit, Places { start: *start, end: *end, step: *step }));
            }
            Selector::Wildcard => {
                self.any_member |= bit;
                self.any_element |= bit;
            }
        }
    }
}

/// More paths than one plan can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the masked paths of a target have at most 128 segments together, one more counted for each path")]
pub struct PlanError;

fn strictness(mask: Mask) -> u8 {
    match mask {
        Mask::Null => 3,
        Mask::Full => 2,
        Mask::Token => 1,
        Mask::Partial { .. } => 0,
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

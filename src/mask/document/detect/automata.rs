//! The patterns of detectors as automata, each made once and for all detectors of a process.
//!
//! Job: what a pattern takes that begins at a place, in time proportional to what it takes. Boundary: where that may be
//! is `Starts`' to say, and whether it is what it looks like is said by checks. Failure mode: none once it is made.

use std::sync::OnceLock;

use regex_automata::dfa::dense::{self, DFA};
use regex_automata::dfa::{Automaton as _, StartKind};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::{Detector, DetectorError, MOST_MEMORY};

/// The automaton of a detector.
///
/// # Errors
/// When it takes too much memory, which none of ours does.
pub(super) fn of(detector: Detector) -> Result<&'static Automaton, DetectorError> {
    let made = MADE.get(detector as usize).ok_or(DetectorError::Unknown)?;
    made.get_or_init(|| Automaton::new(detector.pattern())).as_ref().ok_or(DetectorError::TooBig)
}

/// A pattern, where it begins at a given place.
#[derive(Debug)]
pub(super) struct Automaton(DFA<Vec<u32>>);

impl Automaton {
    fn new(pattern: &str) -> Option<Self> {
        let config = dense::Config::new()
            .start_kind(StartKind::Anchored)
            .match_kind(MatchKind::All)
            .dfa_size_limit(Some(MOST_MEMORY))
            .determinize_size_limit(Some(MOST_MEMORY));
        dense::Builder::new()
            .configure(config)
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false))
            .build(pattern)
            .ok()
            .map(Self)
    }

    /// Where the longest ends that begins right at `start`.
    pub(super) fn end(&self, text: &[u8], start: usize) -> Option<usize> {
        let input = Input::new(text).range(start..).anchored(Anchored::Yes);
        // fails only for bytes that the automaton gives up at, and for unanchored searches: there are none
        self.0.try_search_fwd(&input).ok().flatten().map(|found| found.offset())
    }
}

static MADE: [OnceLock<Option<Automaton>>; Detector::ALL.len()] =
    [const { OnceLock::new() }; Detector::ALL.len()];

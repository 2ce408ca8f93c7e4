//! What was found out about texts, for others that differ in their literals only.
//!
//! Job: a program that writes its values into its texts sends a new text each time; the second text of a
//! pattern teaches a template, from which the third and all later ones are made. Each set of the literals
//! that are not free has a template of its own, which is learned when the set comes a second time: the pages
//! of a table differ in such a literal, and each of them comes once. Boundary: which literals are free is
//! `sql`'s to say. Failure mode: a text that is not found is inspected as any other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::inspected::{Inspected, Part};
use super::lens::{Lens, Reading, needs_deep_stack};
use crate::domain::facts::Facts;
use crate::gateway::cache::Cache;
use crate::sql::{Effect, Finding, ParseLimits, Pattern, Template};
use crate::wire::postgres::conversation::Expect;

/// The patterns that a connection knows.
#[derive(Debug)]
pub(super) struct Patterns {
    /// Which literals are free, by what texts have in common beside literals.
    known: Cache<Known>,
    /// By what they have in common beside free literals.
    stencils: Cache<Stencil>,
    /// What was looked for among the stencils in vain, once.
    missed: Cache<()>,
}

/// What there is for a text.
pub(super) enum Alike {
    /// What inspecting it would give.
    Found(Inspected),
    /// Nothing, and nothing to learn.
    Nothing,
    /// A pattern that was seen for the first time.
    New(Pattern),
    /// A pattern that was seen before and could be learned.
    Seen(Pattern),
    /// A pattern that is known, with other literals that are not free, which were seen before as well.
    Other(Pattern, Arc<Free>),
}

#[derive(Debug)]
enum Known {
    Free(Arc<Free>),
    /// It was seen once.
    Once,
    /// There is nothing to learn from it.
    Useless,
}

/// What is free in the texts of a pattern.
#[derive(Debug)]
pub(super) struct Free {
    /// For each literal whether it is.
    literals: Vec<bool>,
    /// How many stencils were tried for since one was of use.
    in_vain: AtomicU32,
}

/// A pattern gets no more stencils after this many that were of no use.
const MOST_IN_VAIN: u32 = 4;

/// What texts of one pattern are found to be.
#[derive(Debug)]
struct Stencil {
    template: Template,
    part: Part,
    expect: Expect,
}

/// Everything about an inspected text that may not depend on a free literal.
#[derive(Debug, PartialEq)]
struct Rest {
    facts: Arc<Facts>,
    effect: Effect,
    secret_values: bool,
    guarded_values: BTreeSet<i32>,
    expect: Expect,
}

impl Patterns {
    /// Nothing is known yet; between `generation` and twice as many patterns will be kept.
    pub(super) fn new(generation: usize) -> Self {
        let missed = Cache::new(generation.div_ceil(MISSED));
        Self { known: Cache::new(generation), stencils: Cache::new(generation), missed }
    }

    /// What is known about texts like this one.
    pub(super) fn find(&mut self, text: &str) -> Alike {
        let Some(pattern) = Pattern::of(text) else { return Alike::Nothing };
        match self.known.find(&pattern.key(text)).as_deref() {
            None => Alike::New(pattern),
            Some(Known::Once) => Alike::Seen(pattern),
            Some(Known::Useless) => Alike::Nothing,
            Some(Known::Free(free)) => self.find_stencil(text, pattern, free),
        }
    }

    fn find_stencil(&mut self, text: &str, pattern: Pattern, free: &Arc<Free>) -> Alike {
        let key = pattern.key_but(text, &free.literals);
        if let Some(stencil) = self.stencils.find(&key) {
            free.in_vain.store(0, Ordering::Relaxed);
            let filled = stencil.fill(&pattern.values(text, &free.literals));
            return filled.map_or(Alike::Nothing, Alike::Found);
        }
        if free.in_vain.load(Ordering::Relaxed) >= MOST_IN_VAIN {
            return Alike::Nothing;
        }
        if self.missed.find(&key).is_some() {
            return Alike::Other(pattern, Arc::clone(free));
        }
        self.missed.keep(&key, &Arc::new(()));
        Alike::Nothing
    }

    /// Learns from a text that was inspected, on a stack that was deep enough for it.
    pub(super) fn learn(&mut self, text: &str, inspected: &Inspected, alike: Alike, lens: &Lens) {
        match alike {
            Alike::Found(_) | Alike::Nothing => {}
            Alike::New(pattern) => self.known.keep(&pattern.key(text), &Arc::new(Known::Once)),
            Alike::Seen(pattern) => {
                let known = match Stencil::learn(text, &pattern, inspected, lens) {
                    Some((literals, stencil)) => {
                        self.stencils.keep(&pattern.key_but(text, &literals), &Arc::new(stencil));
                        Known::Free(Arc::new(Free { literals, in_vain: AtomicU32::new(1) }))
                    }
                    None => Known::Useless,
                };
                self.known.keep(&pattern.key(text), &Arc::new(known));
            }
            // whatever comes of this one, the stencils that are there stay of use
            Alike::Other(pattern, free) => {
                free.in_vain.fetch_add(1, Ordering::Relaxed);
                if let Some((literals, stencil)) = Stencil::learn(text, &pattern, inspected, lens)
                    && literals == free.literals
                {
                    self.stencils.keep(&pattern.key_but(text, &literals), &Arc::new(stencil));
                }
            }
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.stencils.clear();
        self.missed.clear();
    }
}

/// Of what was missed, this part of a generation is remembered.
const MISSED: usize = 8;

impl Stencil {
    fn learn(text: &str, pattern: &Pattern, inspected: &Inspected, lens: &Lens) -> Option<(Vec<bool>, Self)> {
        let statements = crate::sql::parse(text, &ParseLimits::default()).ok()?;
        let free = crate::sql::free_literals(&statements, text, pattern, &|column| lens.protects(column));
        let again = |text: &str| {
            let inspectable = !needs_deep_stack(text, Reading::Standard);
            inspectable.then(|| lens.inspect(text, Reading::Standard)).as_ref().and_then(finding)
        };
        let template = Template::learn(text, pattern, &free, &finding(inspected)?, again)?;
        // what was said of this very text was said of it alone
        let part = inspected.parts.first()?.without_opinion();
        Some((free, Self { template, part, expect: inspected.expect }))
    }

    fn fill(&self, values: &[&str]) -> Option<Inspected> {
        let mut texts = self.template.fill(values)?.into_iter();
        let (sent, text, shown) = (texts.next()?, texts.next()??, texts.next()?);
        let part = Part {
            facts: Arc::clone(&self.part.facts),
            text,
            sent: shown,
            unsearchable: None,
            copied: None,
            effect: self.part.effect.clone(),
            secret_values: self.part.secret_values,
            hints: Arc::default(),
            guarded_values: self.part.guarded_values.clone(),
            ruled: Arc::clone(&self.part.ruled),
        };
        Some(Inspected { parts: vec![part], sent, expect: self.expect, refusal: None })
    }
}

/// What was found, if it is one statement that may be sent and changes nothing about the connection.
fn finding(inspected: &Inspected) -> Option<Finding<Rest>> {
    let Inspected { parts, sent, expect, refusal: None } = inspected else { return None };
    let [part] = parts.as_slice() else { return None };
    // how a COPY writes its rows stands in its literals
    let Part { effect: Effect::None, unsearchable: None, copied: None, .. } = part else { return None };
    let Part { facts, text, sent: shown, secret_values, guarded_values, .. } = part;
    let rest = Rest {
        facts: Arc::clone(facts),
        effect: Effect::None,
        secret_values: *secret_values,
        guarded_values: guarded_values.clone(),
        expect: *expect,
    };
    Some(Finding { texts: vec![sent.clone(), Some(text.clone()), shown.clone()], rest })
}

#[cfg(test)]
mod tests;

//! The detectors of targets, ready for use.
//!
//! Job: compile what a target's configuration names, once, and not for each connection. Boundary: what is found and
//! what comes of it is not here. Failure mode: an error for what configuration should have refused.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::target::OwnPattern;
use crate::mask::document::{DetectorError, Detectors};

/// The detectors of these names; `None` where there are no names.
pub(super) fn compiled(
    names: &BTreeSet<String>,
    patterns: &[OwnPattern],
) -> Result<Option<Arc<Detectors>>, DetectorError> {
    if names.is_empty() {
        return Ok(None);
    }
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = kept.iter().find(|known| known.names == *names && known.patterns == patterns) {
        return Ok(Some(Arc::clone(&known.detectors)));
    }
    let detectors = Arc::new(Detectors::named(names, patterns)?);
    if kept.len() == MOST_KEPT {
        kept.remove(0);
    }
    let (names, patterns) = (names.clone(), patterns.to_vec());
    kept.push(Known { names, patterns, detectors: Arc::clone(&detectors) });
    Ok(Some(detectors))
}

struct Known {
    names: BTreeSet<String>,
    patterns: Vec<OwnPattern>,
    detectors: Arc<Detectors>,
}

/// What was compiled last. The same names and patterns are the same detectors, whatever target they are of.
static KEPT: Mutex<Vec<Known>> = Mutex::new(Vec::new());
const MOST_KEPT: usize = 32;

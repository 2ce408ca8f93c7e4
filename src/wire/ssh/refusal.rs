//! A no that travels inside a channel.

use std::fmt;

/// Who said no, why, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that said no.
    pub rule: String,
    /// Why.
    pub reason: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl fmt::Display for Refusal {
    /// One line without control characters, so that it can stand in any of the protocols.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hoopctl: denied by rule `")?;
        put_line(f, &self.rule)?;
        f.write_str("`: ")?;
        put_line(f, &self.reason)?;
        if let Some(hint) = &self.hint {
            f.write_str(" (")?;
            put_line(f, hint)?;
            f.write_str(")")?;
        }
        Ok(())
    }
}

fn put_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars().take(LONGEST) {
        fmt::Write::write_char(f, if c.is_control() { ' ' } else { c })?;
    }
    Ok(())
}

/// How much of each part is told.
const LONGEST: usize = 1024;

//! How often parts of a text stand in the tree that is made of it.
//!
//! Job: an upper bound on the tokens of a text, each as often as the parser writes it out. `SET (a, b) = source` is a
//! reference to the same source for each column, and the parser hands out trees in which each reference is a copy: nested,
//! a text of some kilobytes becomes a tree of any size. Boundary: tokens, no meaning; a comparison of rows counts as
//! well. Failure mode: too many rather than too few.

use pg_query::protobuf::{ScanToken, Token};

/// Whether a bracket is closed in front of an equals sign somewhere, or of a comment.
pub(super) fn may_copy(text: &str) -> bool {
    let mut behind_bracket = false;
    for byte in text.bytes() {
        match byte {
            b')' => behind_bracket = true,
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => {}
            b'=' | b'-' | b'/' if behind_bracket => return true,
            _ => behind_bracket = false,
        }
    }
    false
}

/// The tokens, each as often as it is written out; at most `most` and one.
pub(super) fn copied(tokens: &[ScanToken], most: usize) -> usize {
    let mut levels = vec![Level { commas: 0, times: 1, around: 1 }];
    let (mut count, mut closed) = (0_usize, None);
    for token in tokens {
        let kind = Token::try_from(token.token).unwrap_or(Token::Nul);
        let nested = levels.len() > 1;
        let Some(level) = levels.last_mut() else { break };
        count = count.saturating_add(level.around.saturating_mul(level.times));
        if count > most {
            return most.saturating_add(1);
        }
        match kind {
            Token::SqlComment | Token::CComment => continue,
            Token::Ascii40 | Token::Ascii91 => {
                let around = level.around.saturating_mul(level.times);
                levels.push(Level { commas: 0, times: 1, around });
            }
            Token::Ascii41 | Token::Ascii93 if nested => {
                closed = levels.pop().map(|level| level.commas);
                continue;
            }
            Token::Ascii44 => (level.commas, level.times) = (level.commas + 1, 1),
            Token::Ascii59 => levels = vec![Level { commas: 0, times: 1, around: 1 }],
            // what follows, up to the next comma
            Token::Ascii61 => level.times = level.times.max(closed.map_or(1, |commas| commas + 1)),
            _ => {}
        }
        closed = None;
    }
    count
}

/// An open bracket.
struct Level {
    commas: usize,
    /// How often what stands here is written out for what is around it.
    times: usize,
    around: usize,
}

//! Text from elsewhere, written so that it can neither steer a terminal nor deceive the eye.
//!
//! Job: every character that a terminal obeys instead of showing (control characters, the introducers
//! of escape sequences) and every one that is not seen or moves others about (bidirectional
//! overrides, zero-width characters, tags) is written out as `\u{202e}`. Where a name or a reason comes
//! in it is kept like that, and where one goes out that had to be kept as it was signed, it is shown like
//! that. Boundary: letters that look alike are left as they are.

/// One line; line breaks and tabs are written out as well. Doing it twice changes nothing.
#[must_use]
pub fn line(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    text.chars().for_each(|c| push(&mut shown, c));
    shown
}

/// One line of at most so many characters.
#[must_use]
pub fn name(text: &str, most: usize) -> String {
    let mut shown = String::new();
    let mut count = 0_usize;
    for c in text.chars() {
        let mut piece = String::new();
        push(&mut piece, c);
        // a character that is written out is never cut
        count = count.saturating_add(piece.chars().count());
        if count > most {
            break;
        }
        shown.push_str(&piece);
    }
    shown
}

/// Adds a character, written out where it deceives.
pub fn push(shown: &mut String, c: char) {
    if deceives(c) {
        shown.extend(c.escape_unicode());
    } else {
        shown.push(c);
    }
}

/// Whether a character is obeyed or not seen, rather than shown: Unicode's Cc, Cf, Zl and Zp, the
/// variation selectors, and the letters that are blank.
#[must_use]
pub fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_deceives_the_eye_is_written_out() {
        let hostile =
            "ok\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{202e}txt.exe\u{2066}\u{200b}\u{e0041}\r\n\t\u{7f}";
        let shown = line(hostile);
        assert_eq!(
            shown,
            "ok\\u{1b}]0;owned\\u{7}\\u{1b}[2J\\u{9b}31m\\u{202e}txt.exe\\u{2066}\\u{200b}\\u{e0041}\\u{d}\\u{a}\\u{9}\\u{7f}"
        );
        assert_eq!(line(&shown), shown);
        assert_eq!(line("é 😀 表 'x'"), "é 😀 表 'x'");
    }

    #[test]
    fn a_name_is_cut_between_characters_that_are_written_out() {
        assert_eq!(name("ab\u{202e}c", 10), "ab\\u{202e}");
        assert_eq!(name("ab\u{202e}c", 9), "ab");
        assert_eq!(name("表表表", 2), "表表");
    }
}

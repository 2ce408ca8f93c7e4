//! Words as the shell would see them, as far as that can be told.
//!
//! The grammar leaves words raw. This removes quotes, and says of every expansion that its result is not known.
//! It is independent of the grammar's own idea of quotes: a word with an unquoted separator in it means that the
//! two disagree, and such a word is refused.

use super::paths;

/// One word of a command after quote removal; or several, where it expands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// Exactly this text.
    Known(String),
    /// One or more names of files that match the text.
    Pattern(String),
    /// What follows `lead` is not known; where it `splits`, neither is the number of words.
    Unknown { lead: String, splits: bool },
}

/// A word, and what comes with it.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) word: Option<Word>,
    /// The texts of its command substitutions.
    pub(super) scripts: Vec<String>,
    /// Something in it is read differently by different shells, may run code, or is not understood.
    pub(super) refused: bool,
}

impl Word {
    pub(super) fn known(text: impl Into<String>) -> Self {
        Self::Known(text.into())
    }

    /// Nothing is known.
    pub(super) fn unknown() -> Self {
        Self::Unknown { lead: String::new(), splits: true }
    }

    /// A whole number, which one is not known.
    fn number() -> Self {
        Self::Unknown { lead: NUMBER.to_owned(), splits: false }
    }

    /// Whether it is one whole number.
    pub(super) fn is_number(&self) -> bool {
        match self {
            Self::Known(text) => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                !digits.is_empty() && digits.len() < 20 && digits.chars().all(|c| c.is_ascii_digit())
            }
            Self::Pattern(_) => false,
            Self::Unknown { lead, splits } => lead == NUMBER && !splits,
        }
    }

    pub(super) fn as_known(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Pattern(_) | Self::Unknown { .. } => None,
        }
    }

    /// Whether a program may take it for an option that is not known.
    pub(super) fn may_hide_options(&self) -> bool {
        let open = |lead: &str| lead.is_empty() || lead.starts_with('-');
        match self {
            Self::Known(_) => false,
            Self::Pattern(text) => open(text.split(paths::META).next().unwrap_or_default()),
            Self::Unknown { lead, splits } => *splits || open(lead),
        }
    }

    /// As a path for policies.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Known(text) | Self::Pattern(text) => paths::normalise(text),
            Self::Unknown { .. } => paths::UNKNOWN.to_owned(),
        }
    }
}

/// Stands in `lead` for digits: no text has it, because control characters are refused.
const NUMBER: &str = "\0";

/// Reads a raw word.
pub(super) fn scan(raw: &str) -> Scanned {
    if matches!(raw, "$?" | "$#" | "$$" | "$!" | "\"$?\"" | "\"$#\"" | "\"$$\"" | "\"$!\"") {
        return Scanned { word: Some(Word::number()), ..Scanned::default() };
    }
    let mut scanner = Scanner::new(raw);
    scanner.run();
    scanner.finish()
}

/// Reads the body of a here-document whose delimiter was not quoted.
pub(super) fn scan_document(raw: &str) -> Scanned {
    let mut scanner = Scanner::new(raw);
    scanner.double_quoted(None);
    scanner.finish()
}

/// How far a word is a brace expansion.
#[derive(Clone, Copy)]
enum Brace {
    None,
    Open,
    Several,
}

struct Scanner {
    chars: Vec<char>,
    at: usize,
    text: String,
    /// The text before what is not known.
    lead: Option<String>,
    splits: bool,
    pattern: bool,
    scripts: Vec<String>,
    refused: bool,
}

impl Scanner {
    fn new(raw: &str) -> Self {
        Self {
            chars: raw.chars().collect(),
            at: 0,
            text: String::new(),
            lead: None,
            splits: false,
            pattern: false,
            scripts: Vec::new(),
            refused: false,
        }
    }

    fn finish(self) -> Scanned {
        let word = match self.lead {
            // a pattern may match several
            Some(lead) => Word::Unknown { lead, splits: self.splits || self.pattern },
            None if self.pattern => Word::Pattern(self.text),
            None => Word::Known(self.text),
        };
        Scanned { word: Some(word), scripts: self.scripts, refused: self.refused }
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn unknown(&mut self, splits: bool) {
        self.lead.get_or_insert_with(|| self.text.clone());
        self.splits |= splits;
    }

    fn run(&mut self) {
        let mut brace = Brace::None;
        while let Some(c) = self.next() {
            match c {
                '\\' => match self.next() {
                    Some('\n') | None => {}
                    Some(c) => {
                        // an escape in fish and in some versions of `echo`'s shells, that letter elsewhere
                        self.refused |= "abcefnrtvxXuU".contains(c) || c.is_ascii_digit();
                        self.literal(c);
                    }
                },
                '\'' => self.single_quoted(),
                '"' => self.double_quoted(Some('"')),
                '$' => self.dollar(false),
                '`' => self.backquoted(false),
                '*' | '?' | '[' => {
                    self.pattern = true;
                    self.text.push(c);
                }
                '{' | ',' | '.' | '}' => {
                    // shells agree neither on what a nested brace makes, nor on one that does not close
                    brace = match (brace, c) {
                        (Brace::None, '{') => Brace::Open,
                        (Brace::Open, ',') => Brace::Several,
                        (Brace::Open, '.') if self.peek() == Some('.') => Brace::Several,
                        (Brace::Several, '}') => {
                            self.pattern = true;
                            Brace::Several
                        }
                        (brace, _) => brace,
                    };
                    self.text.push(c);
                }
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')' => {
                    self.refused = true;
                    self.text.push(c);
                }
                c => self.text.push(c),
            }
        }
        // the program of that name; a lone bracket matches nothing
        if self.chars == ['['] {
            self.pattern = false;
        }
        // old versions of fish: a file that gets what goes wrong
        self.refused |= matches!(self.chars.as_slice(), ['^', '/' | '~' | '.', ..]);
        // zsh: a leading `=` is the path of a program
        if self.chars.first() == Some(&'=') && self.chars.len() > 1 {
            self.unknown(false);
        }
    }

    /// A character that quotes made ordinary.
    fn literal(&mut self, c: char) {
        self.text.push(c);
    }

    fn single_quoted(&mut self) {
        let mut last = '\'';
        loop {
            match self.next() {
                // fish reads the backslash as an escape, and the string goes on
                Some('\'') => {
                    self.refused |= last == '\\';
                    return;
                }
                Some(c) => {
                    self.literal(c);
                    last = c;
                }
                None => {
                    self.refused = true;
                    return;
                }
            }
        }
    }

    /// Up to the quote; or, for a here-document, to the end.
    fn double_quoted(&mut self, quote: Option<char>) {
        while let Some(c) = self.next() {
            match c {
                c if Some(c) == quote => return,
                '\\' => match self.next() {
                    // in a here-document it can split the delimiter
                    Some('\n') => self.refused |= quote.is_none(),
                    Some(c @ ('$' | '`' | '\\')) => self.literal(c),
                    Some('"') if quote.is_some() => self.literal('"'),
                    Some(c) => {
                        self.literal('\\');
                        self.literal(c);
                    }
                    None => self.literal('\\'),
                },
                '$' => self.dollar(true),
                '`' => self.backquoted(true),
                c => self.literal(c),
            }
        }
        self.refused |= quote.is_some();
    }

    fn dollar(&mut self, quoted: bool) {
        match self.peek() {
            // bash's escapes, or a translation; elsewhere a dollar and a string
            Some('\'' | '"') if !quoted => {
                self.refused = true;
                self.unknown(true);
            }
            Some('(') => {
                self.at += 1;
                self.parenthesised(quoted);
            }
            Some('{') => {
                self.at += 1;
                self.braced(quoted);
            }
            Some('[') => {
                self.refused = true;
                self.unknown(!quoted);
            }
            Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                    self.at += 1;
                }
                // zsh takes an index or a modifier here
                self.refused |= matches!(self.peek(), Some('[')) && !self.safe_index();
                self.unknown(!quoted);
            }
            Some(c) if c.is_ascii_digit() || matches!(c, '@' | '*' | '#' | '?' | '-' | '$' | '!') => {
                self.at += 1;
                self.unknown(!quoted || matches!(c, '@' | '*'));
            }
            // zsh: of the variable that follows, in another way
            Some('=' | '~' | '^' | '+' | ':') => {
                self.refused = true;
                self.unknown(true);
            }
            _ => self.text.push('$'),
        }
    }

    /// `$x[1]` is harmless; `$x[$(…)]` is not worth reading.
    fn safe_index(&self) -> bool {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        rest.iter().take_while(|c| **c != ']').all(|c| c.is_ascii_alphanumeric() || "[-_^!".contains(*c))
    }

    /// `$(…)` and `$((…))`, after the first parenthesis.
    fn parenthesised(&mut self, quoted: bool) {
        let arithmetic = self.peek() == Some('(');
        let Some(inner) = self.balanced() else {
            self.refused = true;
            self.unknown(true);
            return;
        };
        // a file name inside arithmetic, or a name whose value is arithmetic, runs code
        if arithmetic {
            self.refused |= !inner.chars().all(|c| c.is_ascii_digit() || " ()+-*/%<>=!&|^~?:".contains(c));
            self.unknown(!quoted);
        } else {
            self.substitute(inner, quoted);
        }
    }

    fn backquoted(&mut self, quoted: bool) {
        let mut inner = String::new();
        loop {
            match self.next() {
                Some('`') => break,
                // escapes are removed differently in and out of quotes
                Some('\\') | None => {
                    self.refused = true;
                    self.unknown(true);
                    if self.peek().is_none() {
                        return;
                    }
                }
                Some(c) => inner.push(c),
            }
        }
        self.substitute(inner, quoted);
    }

    fn substitute(&mut self, inner: String, quoted: bool) {
        // a document's end inside is read differently
        self.refused |= inner.contains("<<");
        match constant(&inner) {
            Some(text) if quoted || !(text.is_empty() || text.contains(' ')) => {
                self.text.push_str(&text);
                return;
            }
            _ => {}
        }
        self.scripts.push(inner);
        self.unknown(!quoted);
    }

    /// The text up to the parenthesis that closes, which is eaten.
    fn balanced(&mut self) -> Option<String> {
        let start = self.at;
        let mut depth = 1usize;
        let mut quote = None;
        while let Some(c) = self.next() {
            match (quote, c) {
                (None, '\'') => quote = Some('\''),
                (None, '"') => quote = Some('"'),
                (None | Some('"'), '\\') => {
                    self.next()?;
                }
                // quotes inside an expansion inside quotes: the two readings of it are not worth the risk
                (Some('"'), '$') if matches!(self.peek(), Some('(' | '{')) => {
                    if self.nested_quotes() {
                        return None;
                    }
                }
                (Some(open), c) if c == open => quote = None,
                (Some(_), _) => {}
                (None, '(') => depth += 1,
                (None, ')') => {
                    depth -= 1;
                    if depth == 0 {
                        let end = self.at.saturating_sub(1);
                        return self.chars.get(start..end).map(|chars| chars.iter().collect());
                    }
                }
                // a comment may hold anything
                (None, '#') => return None,
                (None, _) => {}
            }
        }
        None
    }

    /// Whether a quote comes before the next closing parenthesis or brace.
    fn nested_quotes(&self) -> bool {
        let rest = self.chars.get(self.at..).unwrap_or_default();
        rest.iter().take_while(|c| !matches!(c, ')' | '}')).any(|c| matches!(c, '"' | '\'' | '`' | '\\'))
    }

    /// `${…}`, after the brace: a name, and an operator with a plain operand.
    fn braced(&mut self, quoted: bool) {
        let mut inner = String::new();
        loop {
            match self.next() {
                Some('}') => break,
                Some(c) => inner.push(c),
                None => {
                    self.refused = true;
                    break;
                }
            }
        }
        let body = inner.strip_prefix('#').filter(|rest| !rest.is_empty()).unwrap_or(&inner);
        let name: String = body.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        let rest = body.strip_prefix(name.as_str()).unwrap_or_default();
        let special = name.is_empty() && matches!(rest, "@" | "*" | "?" | "$" | "!" | "-");
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./%,+=~*?@ -".contains(c);
        let operand = match rest.strip_prefix(':') {
            Some(rest) => rest.strip_prefix(['-', '+', '?']),
            None => rest.strip_prefix(['-', '+', '?', '#', '%']),
        };
        let known = rest.is_empty() && !name.is_empty()
            || special
            || !name.is_empty()
                && operand.is_some_and(|operand| operand.trim_start_matches(['#', '%']).chars().all(plain));
        self.refused |= !known;
        self.unknown(!quoted || matches!(rest, "@" | "*"));
    }
}

/// What `echo` with plain words would print: the form that `ansible` and people use to ask for a home directory.
fn constant(script: &str) -> Option<String> {
    let mut words = script.split_ascii_whitespace();
    let plain = |word: &str| word.chars().all(|c| c.is_ascii_alphanumeric() || "_./~+:@%,-".contains(c));
    let fine = words.next() == Some("echo") && !script.contains('\n');
    let words: Vec<&str> = words.collect();
    let fine =
        fine && words.iter().all(|word| plain(word)) && !words.iter().any(|word| word.starts_with('-'));
    fine.then(|| words.join(" "))
}

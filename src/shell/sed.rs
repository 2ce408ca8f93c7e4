//! Scripts of `sed`, as far as they can be read.

/// The files that a script names.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) read: Vec<String>,
    pub(super) written: Vec<String>,
}

/// The files of a script; `None` when it runs commands or was not understood.
pub(super) fn read(script: &str) -> Option<Files> {
    let mut reader = Reader { chars: script.chars().collect(), at: 0, files: Files::default() };
    while reader.skip_to_command() {
        reader.command()?;
    }
    Some(reader.files)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    files: Files,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn skip(&mut self, of: &[char]) {
        while self.peek().is_some_and(|c| of.contains(&c)) {
            self.at += 1;
        }
    }

    fn skip_to_command(&mut self) -> bool {
        self.skip(&[' ', '\t', '\n', ';', '}', '{']);
        self.peek().is_some()
    }

    fn command(&mut self) -> Option<()> {
        self.addresses()?;
        self.skip(&[' ', '\t']);
        match self.next()? {
            '{' | '}' | '=' | 'd' | 'D' | 'g' | 'G' | 'h' | 'H' | 'n' | 'N' | 'p' | 'P' | 'x' | 'z' | 'F' => {
                self.ended()
            }
            'q' | 'Q' | 'l' | 'L' => {
                self.skip(&[' ', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
                self.ended()
            }
            's' => self.substitution(),
            'y' => {
                let mark = self.next()?;
                self.until(mark)?;
                self.until(mark)?;
                self.ended()
            }
            // a label ends at a `;` for some, at the end of the line for others
            'b' | 't' | 'T' | ':' => {
                self.skip(&[' ', '\t']);
                while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
                    self.at += 1;
                }
                self.ended()
            }
            // text to the end of the line; a backslash would continue it
            'a' | 'i' | 'c' | '#' => (!self.line().contains('\\')).then_some(()),
            'w' | 'W' => {
                let file = self.line().trim().to_owned();
                self.files.written.push(file);
                Some(())
            }
            'r' | 'R' => {
                let file = self.line().trim().to_owned();
                self.files.read.push(file);
                Some(())
            }
            _ => None,
        }
    }

    /// After a command comes a separator, or nothing.
    fn ended(&mut self) -> Option<()> {
        self.skip(&[' ', '\t']);
        matches!(self.peek(), None | Some(';' | '\n' | '}' | '{' | '#')).then_some(())
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        while let Some(c) = self.next().filter(|c| *c != '\n') {
            line.push(c);
        }
        line
    }

    fn addresses(&mut self) -> Option<()> {
        loop {
            match self.peek()? {
                '0'..='9' | '$' | ',' | '~' | '+' | '!' | ' ' | '\t' => self.at += 1,
                '/' => {
                    self.at += 1;
                    self.until('/')?;
                    self.skip(&['I', 'M']);
                }
                '\\' => {
                    self.at += 1;
                    let mark = self.next()?;
                    self.until(mark)?;
                }
                _ => return Some(()),
            }
        }
    }

    /// Past an unescaped mark. One in brackets is read differently: it is not understood then.
    fn until(&mut self, mark: char) -> Option<()> {
        if mark == '\n' || mark == '\\' {
            return None;
        }
        let mut bracket = false;
        loop {
            match self.next()? {
                '\\' => {
                    self.next()?;
                }
                c if c == mark => return (!bracket).then_some(()),
                '[' if bracket => self.class(mark)?,
                // a bracket that stands for itself
                '[' if matches!(self.peek(), Some(']' | '^')) && self.literal_bracket() => return None,
                '[' => bracket = true,
                ']' => bracket = false,
                _ => {}
            }
        }
    }

    /// Past `[:alpha:]`, of which the first bracket is read; without the mark, which some would take for the end.
    fn class(&mut self, mark: char) -> Option<()> {
        let Some(kind @ (':' | '.' | '=')) = self.peek() else { return Some(()) };
        self.at += 1;
        loop {
            match self.next()? {
                c if c == mark || c == '\\' => return None,
                c if c == kind && self.peek() == Some(']') => {
                    self.at += 1;
                    return Some(());
                }
                _ => {}
            }
        }
    }

    /// Whether the bracket expression that begins here begins with a `]`.
    fn literal_bracket(&self) -> bool {
        let at = if self.peek() == Some('^') { self.at.saturating_add(1) } else { self.at };
        self.chars.get(at) == Some(&']')
    }

    fn substitution(&mut self) -> Option<()> {
        let mark = self.next()?;
        self.until(mark)?;
        self.until_replaced(mark)?;
        loop {
            match self.peek() {
                Some('g' | 'p' | 'i' | 'I' | 'm' | 'M' | '0'..='9') => self.at += 1,
                Some('w') => {
                    self.at += 1;
                    let file = self.line().trim().to_owned();
                    self.files.written.push(file);
                    return Some(());
                }
                // `e` among them runs the result
                _ => return self.ended(),
            }
        }
    }

    fn until_replaced(&mut self, mark: char) -> Option<()> {
        loop {
            match self.next()? {
                '\\' => {
                    self.next()?;
                }
                c if c == mark => return Some(()),
                _ => {}
            }
        }
    }
}

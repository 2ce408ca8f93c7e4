//! Scripts of `sed`, as far as they can be read.

/// The files that a script writes; `None` when it runs commands or was not understood.
pub(super) fn read(script: &str) -> Option<Vec<String>> {
    let mut reader = Reader { chars: script.chars().collect(), at: 0, files: Vec::new() };
    while reader.skip_to_command() {
        reader.command()?;
    }
    Some(reader.files)
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    files: Vec<String>,
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
            'b' | 't' | 'T' | ':' => {
                let label = self.line();
                label.chars().all(|c| c.is_ascii_alphanumeric() || " ;_".contains(c)).then_some(())
            }
            // text to the end of the line; a backslash would continue it
            'a' | 'i' | 'c' | '#' => (!self.line().contains('\\')).then_some(()),
            'w' | 'W' => {
                let file = self.line().trim().to_owned();
                self.files.push(file);
                Some(())
            }
            'r' | 'R' => {
                self.line();
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
                '[' => bracket = true,
                ']' => bracket = false,
                _ => {}
            }
        }
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
                    self.files.push(file);
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

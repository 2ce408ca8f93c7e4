//! Options as `getopt_long` reads them, of programs whose options are known.
//!
//! What a program takes is listed in full. An option that is not listed, one that is abbreviated, and one that has
//! a value where none belongs makes the reading [`strange`](Given::strange): which words are values and which are
//! operands is not known then, and the command is not judged.

use super::word::Word;

/// The options of a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    /// Letters without a value.
    flags: &'static str,
    /// Letters with a value, in the same word or in the next.
    short: &'static str,
    /// Letters that take the rest of their word, or nothing.
    attached: &'static str,
    /// Names between blanks: `name` has no value, `name=` has one, `name?` has one only after `=`.
    long: &'static str,
    /// Whether the options end at the first operand.
    leading: bool,
}

/// The words of a command, told apart.
#[derive(Debug, Default)]
pub(super) struct Given {
    flags: Vec<Flag>,
    pub(super) operands: Vec<Word>,
    /// A word that is not known may be an option.
    pub(super) hidden: bool,
    /// There are options that are not known.
    pub(super) strange: bool,
}

#[derive(Debug)]
struct Flag {
    long: bool,
    name: String,
    value: Option<Word>,
}

/// How a long option takes its value.
enum Takes {
    Nothing,
    Attached,
    Value,
}

impl Spec {
    pub(super) const fn new(flags: &'static str, short: &'static str, long: &'static str) -> Self {
        Self { flags, short, attached: "", long, leading: false }
    }

    pub(super) const fn attached(self, attached: &'static str) -> Self {
        Self { attached, ..self }
    }

    pub(super) const fn leading(self) -> Self {
        Self { leading: true, ..self }
    }

    fn takes(&self, name: &str) -> Option<Takes> {
        self.long.split_ascii_whitespace().find_map(|known| {
            let rest = known.strip_prefix(name)?;
            match rest {
                "" => Some(Takes::Nothing),
                "?" => Some(Takes::Attached),
                "=" => Some(Takes::Value),
                _ => None,
            }
        })
    }

    pub(super) fn read(&self, words: &[Word]) -> Given {
        let mut given = Given::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if given.flags.len() > MAX_FLAGS {
                given.strange = true;
                break;
            }
            match word {
                Word::Known(text) if text == "--" => break,
                Word::Known(text) if text.starts_with("--") => {
                    let text = text.strip_prefix("--").unwrap_or_default();
                    let (name, mut value) = match text.split_once('=') {
                        Some((name, value)) => (name, Some(Word::known(value))),
                        None => (text, None),
                    };
                    match (self.takes(name), &value) {
                        (Some(Takes::Value), None) => {
                            value = words.next().cloned();
                            given.strange |= value.is_none();
                        }
                        (Some(Takes::Value | Takes::Attached), Some(_))
                        | (Some(Takes::Attached | Takes::Nothing), None) => {}
                        (None, _) | (Some(Takes::Nothing), Some(_)) => given.strange = true,
                    }
                    given.flags.push(Flag { long: true, name: name.to_owned(), value });
                }
                Word::Known(text) if text.starts_with('-') && text.len() > 1 => {
                    let mut rest = text.chars().skip(1);
                    while let Some(c) = rest.next() {
                        let mut value = None;
                        if self.short.contains(c) {
                            let attached: String = rest.by_ref().collect();
                            value = if attached.is_empty() {
                                words.next().cloned()
                            } else {
                                Some(Word::known(attached))
                            };
                            given.strange |= value.is_none();
                        } else if self.attached.contains(c) {
                            value = Some(Word::known(rest.by_ref().collect::<String>()));
                        } else {
                            given.strange |= !self.flags.contains(c);
                        }
                        given.flags.push(Flag { long: false, name: c.to_string(), value });
                    }
                }
                word => {
                    given.hidden |= word.may_hide_options();
                    given.operands.push(word.clone());
                    if self.leading {
                        break;
                    }
                }
            }
        }
        given.operands.extend(words.cloned());
        given
    }
}

impl Given {
    /// Whether one of these short options is given.
    pub(super) fn short(&self, names: &str) -> bool {
        self.flags.iter().any(|flag| !flag.long && names.contains(flag.name.as_str()))
    }

    /// Whether one of these long options is given, also abbreviated.
    pub(super) fn long(&self, names: &[&str]) -> bool {
        self.flags
            .iter()
            .any(|flag| flag.long && names.iter().any(|name| name.starts_with(flag.name.as_str())))
    }

    /// The values of an option, short or long.
    pub(super) fn values(&self, short: &str, long: &str) -> Vec<Word> {
        let named = |flag: &&Flag| {
            if flag.long { flag.name == long } else { short.contains(flag.name.as_str()) }
        };
        self.flags.iter().filter(named).filter_map(|flag| flag.value.clone()).collect()
    }

    pub(super) fn is_bare(&self) -> bool {
        self.flags.is_empty()
    }

    /// The first operand, where it is known.
    pub(super) fn verb(&self) -> Option<&str> {
        self.operands.first().and_then(Word::as_known)
    }
}

/// Nobody gives more; each is looked for in a list.
const MAX_FLAGS: usize = 256;

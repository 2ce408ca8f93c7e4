//! Options as `getopt_long` reads them.

use super::word::Word;

/// What takes a value, and whether the options end at the first operand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub(super) short: &'static str,
    pub(super) long: &'static [&'static str],
    pub(super) leading: bool,
}

/// The words of a command, told apart.
#[derive(Debug, Default)]
pub(super) struct Given {
    flags: Vec<Flag>,
    pub(super) operands: Vec<Word>,
    /// A word that is not known may be an option.
    pub(super) hidden: bool,
}

#[derive(Debug)]
struct Flag {
    long: bool,
    name: String,
    value: Option<Word>,
}

impl Spec {
    /// No option takes a value.
    pub(super) const PLAIN: Self = Self { short: "", long: &[], leading: false };

    pub(super) fn read(&self, words: &[Word]) -> Given {
        let mut given = Given::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word {
                Word::Known(text) if text == "--" => break,
                Word::Known(text) if text.starts_with("--") => {
                    let text = text.trim_start_matches('-');
                    let (name, mut value) = match text.split_once('=') {
                        Some((name, value)) => (name, Some(Word::known(value))),
                        None => (text, None),
                    };
                    let takes = |long: &&str| long.starts_with(name);
                    if value.is_none() && !WITHOUT_VALUE.contains(&name) && self.long.iter().any(takes) {
                        value = words.next().cloned();
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

    /// Whether an option other than these is given; a long one counts as known only when written out.
    pub(super) fn other_than(&self, short: &str, long: &[&str]) -> bool {
        self.flags.iter().any(|flag| {
            if flag.long { !long.contains(&flag.name.as_str()) } else { !short.contains(flag.name.as_str()) }
        })
    }

    /// The values of an option.
    pub(super) fn values(&self, short: &str, long: &str) -> Vec<Word> {
        let named = |flag: &&Flag| {
            if flag.long {
                !long.is_empty() && long.starts_with(flag.name.as_str())
            } else {
                short.contains(flag.name.as_str())
            }
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

/// Options whose names start others that take a value. To take the next word for a value would hide it.
const WITHOUT_VALUE: &[&str] =
    &["append", "backup", "context", "eof", "login", "max-lines", "partial", "replace"];

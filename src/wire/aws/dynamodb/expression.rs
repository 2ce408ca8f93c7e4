//! DynamoDB's expressions, as far as to know which attributes they name (Developer Guide, Expressions).
//!
//! Job: text and substitutions → paths. Boundary: whether an expression is valid is DynamoDB's business. Failure mode: `None`
//! for what its grammar does not have, and for names that are substituted by nothing; the caller then takes it that everything is named.

use std::collections::BTreeMap;

use super::parts::malformed;
use super::{Role, Use};
use crate::domain::item::ItemStep;
use crate::wire::aws::call::Unjudged;
use crate::wire::aws::json::Json;

/// ExpressionAttributeNames.
#[derive(Debug, Default)]
pub(super) struct Names<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Names<'a> {
    pub(super) fn read(json: Option<&'a Json>) -> Result<Self, Unjudged> {
        let wrong = || malformed("ExpressionAttributeNames");
        let Some(json) = json else { return Ok(Self::default()) };
        let members = json.object().ok_or_else(wrong)?.iter();
        let members = members.map(|(name, value)| Ok((name.as_str(), value.text().ok_or_else(wrong)?)));
        members.collect::<Result<_, _>>().map(Self)
    }
}

/// The paths of a ProjectionExpression.
pub(super) fn projection(text: &str, names: &Names<'_>) -> Option<Vec<Use>> {
    let mut uses = Vec::new();
    let mut tokens = Tokens::of(text, names)?;
    loop {
        let Token::Path(path) = tokens.next()?? else { return None };
        uses.push(Use { path, role: Role::Project });
        match tokens.next()? {
            None => return Some(uses),
            Some(Token::Sign(',')) => {}
            Some(_) => return None,
        }
    }
}

/// The paths of a condition, filter or key condition.
pub(super) fn condition(text: &str, names: &Names<'_>, role: Role) -> Option<Vec<Use>> {
    let mut uses = Vec::new();
    let mut tokens = Tokens::of(text, names)?;
    while let Some(token) = tokens.next()? {
        match token {
            Token::Function(name) if CONDITIONS.contains(&name) => {}
            Token::Path(path) => uses.push(Use { path, role }),
            Token::Sign('+' | '-') | Token::Function(_) => return None,
            Token::Section(_) => return None,
            Token::Sign(_) | Token::Value | Token::Word => {}
        }
    }
    (!uses.is_empty()).then_some(uses)
}

/// The paths of an UpdateExpression.
pub(super) fn update(text: &str, names: &Names<'_>) -> Option<Vec<Use>> {
    let mut uses = Vec::new();
    let mut tokens = Tokens::of(text, names)?;
    // the section at hand, whether a target is due, and how deep in parentheses
    let (mut section, mut target, mut depth) = (None, false, 0_usize);
    while let Some(token) = tokens.next()? {
        match token {
            Token::Section(name) if depth == 0 => (section, target) = (Some(name), true),
            Token::Path(path) => {
                let role = match section? {
                    // what is set is computed of what stands behind the equals sign
                    "SET" if !target => Role::Read,
                    "REMOVE" => Role::Remove,
                    _ => Role::Put,
                };
                if role != Role::Read && !target {
                    return None;
                }
                target = false;
                uses.push(Use { path, role });
            }
            Token::Function(name) if section == Some("SET") && !target && UPDATES.contains(&name) => {}
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth = depth.checked_sub(1)?,
            Token::Sign(',') if depth == 0 => target = true,
            Token::Sign(',' | '+' | '-' | '=') | Token::Value if !target => {}
            _ => return None,
        }
    }
    (!uses.is_empty() && !target && depth == 0).then_some(uses)
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Function(&'a str),
    Path(Vec<ItemStep>),
    /// Of an update.
    Section(&'static str),
    Sign(char),
    /// `:value`
    Value,
    /// AND, OR, NOT, BETWEEN, IN.
    Word,
}

struct Tokens<'a> {
    rest: &'a str,
    names: &'a Names<'a>,
}

impl<'a> Tokens<'a> {
    /// Of an expression that is no longer than DynamoDB takes.
    fn of(text: &'a str, names: &'a Names<'a>) -> Option<Self> {
        (text.len() <= LONGEST).then_some(Self { rest: text, names })
    }

    /// The next token; `Some(None)` at the end, `None` when there is something else.
    #[expect(clippy::option_option, reason = "an end is not a fault")]
    fn next(&mut self) -> Option<Option<Token<'a>>> {
        self.blanks();
        let Some(first) = self.rest.chars().next() else { return Some(None) };
        if matches!(first, '(' | ')' | ',' | '=' | '<' | '>' | '+' | '-') {
            self.rest = self.rest.get(1..)?;
            return Some(Some(Token::Sign(first)));
        }
        if first == ':' {
            self.rest = self.rest.get(1..)?;
            return Some((!self.word().is_empty()).then_some(Token::Value)?.into());
        }
        if first != '#' {
            let before = self.rest;
            let word = self.word();
            if ["AND", "OR", "NOT", "BETWEEN", "IN"].iter().any(|known| known.eq_ignore_ascii_case(word)) {
                return Some(Some(Token::Word));
            }
            if let Some(known) = SECTIONS.iter().find(|known| known.eq_ignore_ascii_case(word)) {
                return Some(Some(Token::Section(known)));
            }
            self.blanks();
            if !word.is_empty() && self.rest.starts_with('(') {
                return Some(Some(Token::Function(word)));
            }
            self.rest = before;
        }
        self.path().map(|path| Some(Token::Path(path)))
    }

    fn path(&mut self) -> Option<Vec<ItemStep>> {
        let mut path = vec![self.name()?];
        loop {
            self.blanks();
            if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                self.blanks();
                path.push(self.name()?);
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                let (digits, rest) = rest.split_once(']')?;
                let digits = digits.trim();
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                path.push(ItemStep::Index(digits.parse().ok()?));
                self.rest = rest;
            } else {
                return Some(path);
            }
            if path.len() > DEEPEST {
                return None;
            }
        }
    }

    fn name(&mut self) -> Option<ItemStep> {
        let before = self.rest;
        if let Some(rest) = self.rest.strip_prefix('#') {
            self.rest = rest;
            let word = self.word();
            let whole = before.get(..word.len() + 1).filter(|_| !word.is_empty())?;
            let name = self.names.0.get(whole).filter(|name| name.len() <= LONGEST_NAME)?;
            return Some(ItemStep::Name((*name).to_owned()));
        }
        let word = self.word();
        let fine = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        fine.then(|| ItemStep::Name(word.to_owned()))
    }

    fn word(&mut self) -> &'a str {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        word
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }
}

/// The longest expression (Developer Guide, Quotas).
const LONGEST: usize = 4096;
/// A longer name of an attribute is judged no more; DynamoDB has 65,535 for most, which one expression could name a thousand times.
pub(super) const LONGEST_NAME: usize = 1024;
const CONDITIONS: &[&str] =
    &["attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size"];
const UPDATES: &[&str] = &["if_not_exists", "list_append"];
const SECTIONS: &[&str] = &["ADD", "DELETE", "REMOVE", "SET"];
/// As deep as documents nest (Developer Guide, Nested attribute depth).
const DEEPEST: usize = 64;

//! The tree, command by command.

use brush_parser::ast::{
    AndOr, AssignmentName, AssignmentValue, BinaryPredicate, Command, CommandPrefixOrSuffixItem,
    CompoundCommand, CompoundList, ExtendedTestExpr, IoFileRedirectKind, IoFileRedirectTarget, IoRedirect,
    Pipeline, Program, RedirectList, SimpleCommand, SubshellCommand, UnaryPredicate, Word as RawWord,
};

use super::call::{Context, Stdin};
use super::grammar;
use super::judge::Judge;
use super::variables;
use super::word::{self, Word};
use crate::domain::facts::Effect;

impl Judge {
    /// A script that one of the words held: judged in the same facts.
    pub(super) fn script(&mut self, text: &str, context: &Context) {
        if !self.enter(text.len()) {
            return;
        }
        match grammar::parse(text) {
            Ok(program) => self.program_tree(&program, context),
            Err(_) => self.unjudged(),
        }
        self.leave();
    }

    pub(super) fn program_tree(&mut self, program: &Program, context: &Context) {
        for list in &program.complete_commands {
            self.list(list, context);
        }
    }

    fn list(&mut self, list: &CompoundList, context: &Context) {
        for item in &list.0 {
            self.pipeline(&item.0.first, context);
            for next in &item.0.additional {
                let (AndOr::And(pipeline) | AndOr::Or(pipeline)) = next;
                self.pipeline(pipeline, context);
            }
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline, context: &Context) {
        let last = pipeline.seq.len().saturating_sub(1);
        for (place, command) in pipeline.seq.iter().enumerate() {
            let mut context = context.clone();
            if place > 0 {
                context.stdin = Stdin::Unknown;
            }
            context.terminal &= place == last;
            self.command(command, &context);
        }
    }

    fn command(&mut self, command: &Command, context: &Context) {
        if !self.enter(0) {
            return;
        }
        match command {
            Command::Simple(simple) => self.simple(simple, context),
            Command::Compound(compound, redirects) => {
                let mut context = self.redirects(redirects.as_ref(), context);
                // its commands share it: what is left of it for each is not known
                context.stdin.inherit();
                self.compound(compound, &context);
            }
            Command::ExtendedTest(test, redirects) => {
                self.redirects(redirects.as_ref(), context);
                self.extended_test(&test.expr, true);
            }
            // what a later word of this name means is not followed
            Command::Function(function) => {
                self.unjudged();
                let mut context = self.redirects(function.body.1.as_ref(), context);
                context.stdin.inherit();
                self.compound(&function.body.0, &context);
            }
        }
        self.leave();
    }

    fn compound(&mut self, compound: &CompoundCommand, context: &Context) {
        match compound {
            // arithmetic runs code through the values of variables
            CompoundCommand::Arithmetic(_) => self.unjudged(),
            CompoundCommand::ArithmeticForClause(clause) => {
                self.unjudged();
                self.list(&clause.body.list, context);
            }
            CompoundCommand::BraceGroup(group) => self.list(&group.list, context),
            CompoundCommand::Subshell(subshell) => self.subshell(subshell, context),
            CompoundCommand::ForClause(clause) => {
                if variables::decides(&clause.variable_name) {
                    self.unjudged();
                }
                for value in clause.values.iter().flatten() {
                    self.word(value);
                }
                self.list(&clause.body.list, context);
            }
            CompoundCommand::CaseClause(clause) => {
                self.word(&clause.value);
                for item in &clause.cases {
                    for pattern in &item.patterns {
                        self.word(pattern);
                    }
                    if let Some(list) = &item.cmd {
                        self.list(list, context);
                    }
                }
            }
            CompoundCommand::IfClause(clause) => {
                self.list(&clause.condition, context);
                self.list(&clause.then, context);
                for part in clause.elses.iter().flatten() {
                    if let Some(condition) = &part.condition {
                        self.list(condition, context);
                    }
                    self.list(&part.body, context);
                }
            }
            CompoundCommand::WhileClause(clause) | CompoundCommand::UntilClause(clause) => {
                self.list(&clause.0, context);
                self.list(&clause.1.list, context);
            }
            // elsewhere than in bash this is a program
            CompoundCommand::Coprocess(clause) => {
                self.unjudged();
                self.command(&clause.body, context);
            }
        }
    }

    fn subshell(&mut self, subshell: &SubshellCommand, context: &Context) {
        self.list(&subshell.list, context);
    }

    fn simple(&mut self, simple: &SimpleCommand, context: &Context) {
        let mut context = context.clone();
        let mut words = Vec::new();
        for item in simple.prefix.iter().flat_map(|prefix| &prefix.0) {
            match item {
                CommandPrefixOrSuffixItem::AssignmentWord(assignment, _) => {
                    let AssignmentName::VariableName(name) = &assignment.name else {
                        self.unjudged();
                        continue;
                    };
                    let value = match &assignment.value {
                        AssignmentValue::Scalar(value) => self.word(value),
                        AssignmentValue::Array(_) => {
                            self.unjudged();
                            continue;
                        }
                    };
                    self.assignment(name, &value, simple.word_or_name.is_some());
                }
                item => self.item(item, &mut words, &mut context),
            }
        }
        words.clear();
        if let Some(program) = &simple.word_or_name {
            words.push(self.word(program));
        }
        for item in simple.suffix.iter().flat_map(|suffix| &suffix.0) {
            self.item(item, &mut words, &mut context);
        }
        self.call(&words, &context);
    }

    fn item(&mut self, item: &CommandPrefixOrSuffixItem, words: &mut Vec<Word>, context: &mut Context) {
        match item {
            CommandPrefixOrSuffixItem::IoRedirect(redirect) => self.redirect(redirect, context),
            CommandPrefixOrSuffixItem::Word(word) => words.push(self.word(word)),
            // `dd of=x`: an assignment only to the grammar
            CommandPrefixOrSuffixItem::AssignmentWord(_, word) => words.push(self.word(word)),
            CommandPrefixOrSuffixItem::ProcessSubstitution(_, subshell) => {
                self.subshell(subshell, &Context { stdin: Stdin::Unknown, terminal: false });
                words.push(Word::Unknown { lead: "/dev/fd/".to_owned(), splits: false });
            }
        }
    }

    /// Sets a variable, of the shell or of one program.
    pub(super) fn assignment(&mut self, name: &str, value: &Word, for_program: bool) {
        let code = |text: &str| text.contains("$(") || text.contains('`') || text.contains("() {");
        let decides = match for_program {
            true => !variables::is_harmless(name, value),
            false => variables::decides(name) && !(variables::is_number(name) && value.is_number()),
        };
        if decides || value.as_known().is_some_and(code) {
            self.unjudged();
        }
    }

    fn redirects(&mut self, redirects: Option<&RedirectList>, context: &Context) -> Context {
        let mut context = context.clone();
        for redirect in redirects.iter().flat_map(|list| &list.0) {
            self.redirect(redirect, &mut context);
        }
        context
    }

    fn redirect(&mut self, redirect: &IoRedirect, context: &mut Context) {
        match redirect {
            IoRedirect::File(number, kind, target) => {
                let word = match target {
                    IoFileRedirectTarget::Filename(word) | IoFileRedirectTarget::Duplicate(word) => {
                        self.word(word)
                    }
                    IoFileRedirectTarget::Fd(_) => {
                        let reads =
                            matches!(kind, IoFileRedirectKind::Read | IoFileRedirectKind::DuplicateInput);
                        if number.map_or(reads, |number| number == 0) {
                            context.stdin = Stdin::Unknown;
                        }
                        return;
                    }
                    IoFileRedirectTarget::ProcessSubstitution(_, subshell) => {
                        self.subshell(subshell, &Context { stdin: Stdin::Unknown, terminal: false });
                        context.stdin = Stdin::Unknown;
                        return;
                    }
                };
                // `>!` is one sign in zsh and csh, and the file comes after it
                if word.as_known().is_some_and(|text| text.starts_with('!')) {
                    self.unjudged();
                }
                let reads = matches!(kind, IoFileRedirectKind::Read | IoFileRedirectKind::DuplicateInput);
                let duplicates =
                    matches!(kind, IoFileRedirectKind::DuplicateInput | IoFileRedirectKind::DuplicateOutput);
                let descriptor = word.as_known().is_some_and(|text| {
                    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '-')
                });
                // `<>` reads, and which descriptor without a number depends on the shell
                let input = match number {
                    Some(number) => *number == 0,
                    None => reads || matches!(kind, IoFileRedirectKind::ReadAndWrite),
                };
                if input {
                    context.stdin = Stdin::Unknown;
                }
                if !reads && number.is_none_or(|number| number == 1) {
                    context.terminal = false;
                }
                if duplicates && descriptor {
                    return;
                }
                if reads { self.reads(&word) } else { self.writes(&word) }
            }
            IoRedirect::OutputAndError(target, _) => {
                let word = self.word(target);
                context.terminal = false;
                self.writes(&word);
            }
            IoRedirect::HereString(number, text) => {
                let stdin = match self.word(text) {
                    Word::Known(text) => Stdin::Text(text),
                    Word::Pattern(_) | Word::Unknown { .. } => Stdin::Unknown,
                };
                if number.is_none_or(|number| number == 0) {
                    context.stdin = stdin;
                }
            }
            IoRedirect::HereDocument(number, document) => {
                let stdin = self.document(&document.here_end.value, &document.doc.value);
                if number.is_none_or(|number| number == 0) {
                    context.stdin = stdin;
                }
            }
        }
    }

    fn document(&mut self, delimiter: &str, body: &str) -> Stdin {
        let plain = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        };
        let delimiter = delimiter.trim_end_matches('\n');
        let quoted = ['\'', '"']
            .iter()
            .find_map(|quote| delimiter.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote)));
        let tag = quoted.unwrap_or(delimiter);
        // a line that another shell would take for the end
        if !plain(tag) || body.lines().any(|line| line.trim() == tag) {
            self.unjudged();
        }
        if quoted.is_some() {
            return Stdin::Text(body.to_owned());
        }
        match self.scanned(word::scan_document(body)) {
            Word::Known(text) => Stdin::Text(text),
            Word::Pattern(_) | Word::Unknown { .. } => Stdin::Unknown,
        }
    }

    fn word(&mut self, raw: &RawWord) -> Word {
        self.scanned(word::scan(&raw.value))
    }

    fn scanned(&mut self, scanned: word::Scanned) -> Word {
        if scanned.refused {
            self.unjudged();
        }
        for script in &scanned.scripts {
            self.script(script, &Context { stdin: Stdin::Caller, terminal: false });
        }
        scanned.word.unwrap_or_else(Word::unknown)
    }

    /// `[[ … ]]`: in shells that do not know it, `&&` and `<` in it are what they are elsewhere.
    fn extended_test(&mut self, test: &ExtendedTestExpr, first: bool) {
        match test {
            ExtendedTestExpr::And(left, right) | ExtendedTestExpr::Or(left, right) => {
                self.extended_test(left, first);
                self.extended_test(right, false);
            }
            ExtendedTestExpr::Not(inner) => self.extended_test(inner, first),
            ExtendedTestExpr::Parenthesized(inner) => {
                self.unjudged();
                self.extended_test(inner, first);
            }
            ExtendedTestExpr::UnaryTest(predicate, word) => {
                let word = self.word(word);
                let bare = matches!(predicate, UnaryPredicate::StringHasNonZeroLength) && !first;
                // an index in the name is arithmetic
                let variable = matches!(
                    predicate,
                    UnaryPredicate::ShellVariableIsSetAndAssigned
                        | UnaryPredicate::ShellVariableIsSetAndNameRef
                );
                if bare || variable && !word.as_known().is_some_and(variables::is_name) {
                    self.unjudged();
                }
            }
            ExtendedTestExpr::BinaryTest(predicate, left, right) => {
                let (left, right) = (self.word(left), self.word(right));
                let arithmetic = matches!(
                    predicate,
                    BinaryPredicate::ArithmeticEqualTo
                        | BinaryPredicate::ArithmeticNotEqualTo
                        | BinaryPredicate::ArithmeticLessThan
                        | BinaryPredicate::ArithmeticLessThanOrEqualTo
                        | BinaryPredicate::ArithmeticGreaterThan
                        | BinaryPredicate::ArithmeticGreaterThanOrEqualTo
                );
                let redirects = matches!(
                    predicate,
                    BinaryPredicate::LeftSortsBeforeRight | BinaryPredicate::LeftSortsAfterRight
                );
                if !first || redirects || arithmetic && !(left.is_number() && right.is_number()) {
                    self.unjudged();
                }
            }
        }
    }

    /// Reads a file that a word names.
    pub(super) fn reads(&mut self, word: &Word) {
        let path = word.path();
        if path.starts_with("/dev/tcp/") || path.starts_with("/dev/udp/") {
            self.effect(Effect::Network);
        }
        self.path(path);
    }
}

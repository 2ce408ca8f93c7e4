//! What the answers tell.
//!
//! Job: follow the conversation's observations: origins of result columns, row counts, how each
//! statement ended, where the transaction stands; enter that a cap was reached. Boundary: changes nothing
//! of what passes; a protected origin ends the connection. Failure mode: [`Trouble`].

use super::examiner::Examiner;
use super::lens::Lens;
use super::tape::Tape;
use crate::domain::event::What;
use crate::gateway::journal::JournalError;
use crate::recording::item::Outcome;
use crate::wire::postgres::backend::{Column, TransactionStatus};
use crate::wire::postgres::conversation::{Observation, Overrun, QuestionId};

/// Why a connection cannot go on.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A cap was reached, and no entry could be made of it.
    Journal(JournalError),
    /// A result column of this name has a protected origin: the rewriting has failed.
    Leak(String),
}

/// Follows one conversation.
#[derive(Debug, Default)]
pub(super) struct Observer {
    rows: u64,
    current: u64,
    /// The message whose answer has reached a cap, until its end is told.
    capped: Option<QuestionId>,
}

impl Observer {
    /// How many rows the client was sent.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes one observation.
    pub(super) fn observe(
        &mut self,
        observation: Observation,
        examiner: &mut Examiner,
        tape: &mut Tape,
    ) -> Result<(), Trouble> {
        match observation {
            Observation::Capped { question, overrun } => {
                self.capped = Some(question);
                enter(&overrun, examiner)?;
            }
            Observation::Completed { question, tag, .. } => {
                if let Lens::Masked(masked) = examiner.lens_mut() {
                    masked.path.completed(&tag);
                }
                examiner.completed(question, &tag);
                if ["COMMIT", "ROLLBACK"].contains(&tag.as_str()) {
                    examiner.transaction_ended();
                }
                // it ends as the client was told: with an error
                if self.capped == Some(question) {
                    return Ok(());
                }
                self.end(question, Some(tag), None, examiner, tape);
            }
            Observation::Drifted => examiner.drifted(),
            Observation::GuardCutShort => examiner.guard_cut_short(),
            Observation::Unproven { question, number, stamp } => {
                examiner.guard_unproven(question, number, stamp);
            }
            Observation::Guarded { number, stamp } => examiner.guard_passed(number, stamp),
            Observation::Parsed(question) => examiner.parsed(question),
            Observation::Described { columns, .. } => check_origins(&columns, examiner.lens())?,
            Observation::Failed { question, sqlstate, upstream, refused } => {
                if let Lens::Masked(masked) = examiner.lens_mut() {
                    masked.path.failed();
                }
                self.capped = None;
                let masked = examiner.lens().is_masked();
                let error =
                    if masked && !refused { sqlstate } else { format!("{sqlstate}: {}", upstream.message) };
                match question {
                    Some(question) => {
                        examiner.undone(question);
                        self.end(question, None, Some(error), examiner, tape);
                    }
                    None => examiner.batch_undone(),
                }
            }
            Observation::Gone(question) => examiner.gone(question),
            Observation::Kept { question, told } => {
                self.capped = None;
                examiner.kept(question);
                let error = format!("{}: {}", told.sqlstate, told.message);
                self.end(question, None, Some(error), examiner, tape);
            }
            Observation::Ready(status) => {
                examiner.ready(status);
                if status == TransactionStatus::Idle {
                    examiner.transaction_over();
                }
                if let Lens::Masked(masked) = examiner.lens_mut() {
                    masked.path.ready(status);
                }
            }
            Observation::Rows { count, .. } => {
                self.rows += count;
                self.current += count;
            }
            Observation::Skipped(question) => {
                examiner.skipped(question);
                let _skipped = examiner.ended(question, true);
            }
            Observation::Suspended { question } => self.end(question, None, None, examiner, tape),
            Observation::Parameter { name, value } => examiner.reported(&name, &value),
            Observation::Copy { .. } => {}
        }
        Ok(())
    }

    fn end(
        &mut self,
        question: QuestionId,
        tag: Option<String>,
        error: Option<String>,
        examiner: &mut Examiner,
        tape: &mut Tape,
    ) {
        let rows = std::mem::take(&mut self.current);
        // an error is the last answer to a string of statements, and so is a suspension
        if let Some(number) = examiner.ended(question, tag.is_none()) {
            tape.outcome(&Outcome { number, rows, tag, error });
        }
    }
}

/// INVARIANT: what is over a cap is entered, and somebody is told, before the client hears of it.
fn enter(overrun: &Overrun, examiner: &Examiner) -> Result<(), Trouble> {
    let Overrun { statement, kind, cap, rows, bytes } = overrun;
    let (gate, what) = (examiner.gate(), kind.as_str());
    let context = gate.context();
    tracing::warn!(
        session = %context.id, target = %context.target.name, rule = %cap.rule, cap = what, most = cap.most, rows, bytes,
        "a statement was capped"
    );
    let entered = gate.enter_of_connection(|session, connection| What::StatementCapped {
        session,
        connection,
        statement: *statement,
        rule: cap.rule.clone(),
        cap: *kind,
        most: cap.most,
        rows: *rows,
        bytes: *bytes,
    });
    entered.map(|_| ()).map_err(Trouble::Journal)
}

/// The third net, never counted as a lock: it sees bare columns only.
fn check_origins(columns: &[Column], lens: &Lens) -> Result<(), Trouble> {
    let Lens::Masked(masked) = lens else { return Ok(()) };
    let leak = columns.iter().find(|column| masked.protection.is_protected(column.table, column.attribute));
    match leak {
        Some(column) => Err(Trouble::Leak(column.name.to_string())),
        None => Ok(()),
    }
}

//! What the answers tell.
//!
//! Job: follow the conversation's observations: origins of result columns, row counts, how each
//! statement ended, where the transaction stands. Boundary: changes nothing of what passes; a
//! protected origin ends the connection. Failure mode: [`Leak`].

use super::examiner::Examiner;
use super::lens::Lens;
use super::tape::Tape;
use crate::recording::item::Outcome;
use crate::wire::postgres::backend::{Column, TransactionStatus};
use crate::wire::postgres::conversation::{Observation, QuestionId};

/// A result column whose origin is protected: the rewriting has failed.
#[derive(Debug)]
pub(super) struct Leak {
    /// The column's name in the result.
    pub(super) column: String,
}

/// Follows one conversation.
#[derive(Debug, Default)]
pub(super) struct Observer {
    rows: u64,
    current: u64,
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
    ) -> Result<(), Leak> {
        match observation {
            Observation::Completed { question, tag, .. } => {
                if let Lens::Masked(masked) = examiner.lens_mut() {
                    masked.path.completed(&tag);
                }
                examiner.completed(question, &tag);
                self.end(question, Some(tag), None, examiner, tape);
            }
            Observation::Parsed(question) => examiner.parsed(question),
            Observation::Described { columns, .. } => check_origins(&columns, examiner.lens())?,
            Observation::Failed { question, sqlstate, upstream, refused } => {
                if let Lens::Masked(masked) = examiner.lens_mut() {
                    masked.path.failed();
                }
                let masked = examiner.lens().is_masked();
                let error =
                    if masked && !refused { sqlstate } else { format!("{sqlstate}: {}", upstream.message) };
                if let Some(question) = question {
                    examiner.failed(question);
                    self.end(question, None, Some(error), examiner, tape);
                }
            }
            Observation::Gone(question) => examiner.gone(question),
            Observation::Ready(status) => {
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
                examiner.failed(question);
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

/// The third net, never counted as a lock: it sees bare columns only.
fn check_origins(columns: &[Column], lens: &Lens) -> Result<(), Leak> {
    let Lens::Masked(masked) = lens else { return Ok(()) };
    let leak = columns.iter().find(|column| masked.protection.is_protected(column.table, column.attribute));
    match leak {
        Some(column) => Err(Leak { column: column.name.to_string() }),
        None => Ok(()),
    }
}

//! The database's side: what it answers.
//!
//! Job: match each answer with the message that it belongs to; swallow the answers to our own
//! Describes, swap the errors of refused messages, scrub the others, and let everything else through
//! in runs that are not copied. Boundary: rows are counted, not read. Failure mode: an
//! [`UpstreamFault`] for any answer that the message cannot have.

use bytes::{Buf, BytesMut};

use super::capping::is_clocked;
use super::guard::GuardFailed;
use super::pending::{Copy, Op, OpKind};
use crate::wire::postgres::backend::{ServerMessage, TransactionStatus, rows_of_tag};
use crate::wire::postgres::conversation::{Conversation, CopyWay, Observation, QuestionId};
use crate::wire::postgres::error::Fields;
use crate::wire::postgres::fault::UpstreamFault;
use crate::wire::postgres::frame::Head;
use crate::wire::postgres::frontend::ClientMessage;
use crate::wire::postgres::scrub::{self, Scrub};

/// What happens to a message on its way to the client.
pub(super) enum Fate {
    Pass,
    Swallow,
    Swap(BytesMut),
}

impl Conversation {
    pub(super) fn take_upstream(&mut self, input: &mut BytesMut) -> Result<(), UpstreamFault> {
        // so many bytes at the front of the input are on their way as they are
        let mut run = 0;
        let result = self.scan(input, &mut run);
        self.forward_run(input, &mut run);
        self.report_rows();
        self.flush_notices();
        result
    }

    fn scan(&mut self, input: &mut BytesMut, run: &mut usize) -> Result<(), UpstreamFault> {
        while self.client.len() + *run < self.options.output_cap {
            let rest = input.get(*run..).unwrap_or_default();
            if self.upstream_piece > 0 {
                let count = self.upstream_piece.min(rest.len());
                if count == 0 {
                    break;
                }
                self.upstream_piece -= count;
                *run += count;
                continue;
            }
            if self.upstream_drop > 0 {
                let count = self.upstream_drop.min(rest.len());
                if count == 0 {
                    break;
                }
                self.upstream_drop -= count;
                self.forward_run(input, run);
                input.advance(count);
                continue;
            }
            if !self.notices.is_empty() {
                self.forward_run(input, run);
                self.flush_notices();
                continue;
            }
            let Some(head) = Head::peek(rest)? else {
                break;
            };
            if matches!(head.tag, b'D' | b'd') && !self.looks_into(head.tag) && !self.is_guarding() {
                if rest.len() < head.total && head.total <= PIECE {
                    break;
                }
                if !self.take_row(head.tag, head.total)? {
                    self.upstream_drop = head.total;
                    continue;
                }
                let count = head.total.min(rest.len());
                self.upstream_piece = head.total - count;
                *run += count;
                continue;
            }
            let head = head.within(self.options.limits.upstream)?;
            let Some(body) = rest.get(5..head.total) else {
                break;
            };
            match self.take_looking(head.tag, body)? {
                Fate::Pass => *run += head.total,
                Fate::Swallow => {
                    self.forward_run(input, run);
                    input.advance(head.total);
                }
                Fate::Swap(bytes) => {
                    self.forward_run(input, run);
                    input.advance(head.total);
                    self.client.push(bytes.freeze());
                }
            }
        }
        Ok(())
    }

    fn forward_run(&mut self, input: &mut BytesMut, run: &mut usize) {
        if *run > 0 {
            self.client.push(input.split_to(*run).freeze());
            *run = 0;
        }
    }

    /// Whether it may go to the client.
    pub(super) fn take_row(&mut self, tag: u8, size: usize) -> Result<bool, UpstreamFault> {
        if tag == b'd' {
            return match self.copy {
                Copy::Out | Copy::Both => Ok(self.count(size)),
                Copy::In | Copy::InDone | Copy::None => Err(unexpected(tag, "no COPY data")),
            };
        }
        match self.pending.front() {
            Some(Op { kind: OpKind::Query | OpKind::Execute, failed: false, refused: None, .. }) => {}
            _ => return Err(unexpected(tag, "no rows")),
        }
        let passes = self.count(size);
        if passes && let Some(op) = self.pending.front() {
            op.rows += 1;
        }
        Ok(passes)
    }

    pub(super) fn take_answer_message(&mut self, tag: u8, body: &[u8]) -> Result<Fate, UpstreamFault> {
        let message = ServerMessage::parse(tag, body)
            .map_err(|source| UpstreamFault::Malformed { message: name(tag), source })?
            .ok_or_else(|| unexpected(tag, "an answer"))?;
        match message {
            // these can come at any time
            ServerMessage::ErrorResponse(fields) => self.take_error(&fields),
            ServerMessage::NoticeResponse(fields) => Ok(self.scrubbed(b'N', &fields, false)),
            ServerMessage::NotificationResponse { process, channel, .. } => Ok(match self.options.scrub {
                Scrub::None => Fate::Pass,
                Scrub::Generic => {
                    swap(&ServerMessage::NotificationResponse { process, channel, payload: b"" })
                }
            }),
            ServerMessage::ParameterStatus { name, value } => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                self.observations.push_back(Observation::Parameter { name: text(name), value: text(value) });
                Ok(Fate::Pass)
            }
            ServerMessage::ReadyForQuery(status) => self.take_ready(status),
            message => self.take_answer_of_front(tag, message),
        }
    }

    /// An answer that belongs to the oldest pending message.
    fn take_answer_of_front(&mut self, tag: u8, message: ServerMessage<'_>) -> Result<Fate, UpstreamFault> {
        let Some(op) = self.pending.front() else {
            return Err(unexpected(tag, "nothing"));
        };
        if op.refused.is_some() {
            return Err(unexpected(tag, "the failure of a refused statement"));
        }
        if op.failed {
            return Err(unexpected(tag, "readiness after an error"));
        }
        if op.stopped.is_some() {
            return self.take_of_capped(tag, &message);
        }
        let question = op.question;
        if op.preceded && matches!(message, ServerMessage::CommandComplete(_)) {
            op.preceded = false;
            return Ok(Fate::Swallow);
        }
        match (&mut op.kind, message) {
            (OpKind::Parse { .. }, ServerMessage::ParseComplete) => {
                self.observations.extend(question.map(Observation::Parsed));
                self.finish();
            }
            (OpKind::Guard { number, .. }, ServerMessage::DataRow(row)) => {
                let (number, of) = (*number, op.of);
                self.guard_row(of, number, &row);
                return Ok(Fate::Swallow);
            }
            (
                OpKind::Guard { last, .. },
                ServerMessage::ParseComplete
                | ServerMessage::BindComplete
                | ServerMessage::CloseComplete
                | ServerMessage::CommandComplete(_),
            ) => {
                let (last, of) = (*last, op.of);
                self.finish();
                if last {
                    self.guard_passed(of);
                }
                return Ok(Fate::Swallow);
            }
            (OpKind::Bind { .. }, ServerMessage::BindComplete)
            | (OpKind::ClosePortal { .. } | OpKind::CloseStatement { .. }, ServerMessage::CloseComplete) => {
                self.finish();
            }
            (OpKind::Describe(describe), ServerMessage::ParameterDescription(types)) => {
                describe.parameters = types;
                return Ok(if describe.injected { Fate::Swallow } else { Fate::Pass });
            }
            (
                OpKind::Describe(describe),
                shape @ (ServerMessage::NoData | ServerMessage::RowDescription(_)),
            ) => {
                let columns = match shape {
                    ServerMessage::RowDescription(columns) => columns,
                    _ => Vec::new(),
                };
                let parameters = std::mem::take(&mut describe.parameters);
                let fate = if describe.injected { Fate::Swallow } else { Fate::Pass };
                self.observations.push_back(Observation::Described {
                    question: describe.of,
                    parameters,
                    columns,
                });
                self.finish();
                return Ok(fate);
            }
            (OpKind::Query, ServerMessage::RowDescription(columns)) => {
                self.observations.push_back(Observation::Described {
                    question,
                    parameters: Vec::new(),
                    columns,
                });
            }
            (OpKind::Query | OpKind::Execute, ServerMessage::CommandComplete(command)) => {
                self.complete(&String::from_utf8_lossy(command));
            }
            (OpKind::Query | OpKind::Execute, ServerMessage::EmptyQueryResponse) => self.complete(""),
            (OpKind::Execute, ServerMessage::PortalSuspended) => {
                self.report_rows();
                if let Some(question) = question {
                    self.observations.push_back(Observation::Suspended { question });
                }
                self.finish();
            }
            (OpKind::Call, ServerMessage::FunctionCallResponse(value)) => {
                if !self.count(value.map_or(0, <[u8]>::len)) {
                    return Ok(Fate::Swallow);
                }
            }
            (
                OpKind::Query | OpKind::Execute,
                ServerMessage::CopyInResponse(_)
                | ServerMessage::CopyOutResponse(_)
                | ServerMessage::CopyBothResponse(_),
            ) => self.begin_copy(tag)?,
            (OpKind::Query | OpKind::Execute, ServerMessage::CopyDone) => match self.copy {
                Copy::Out => self.copy = Copy::None,
                // ends with the command
                Copy::Both => {}
                Copy::In | Copy::InDone | Copy::None => return Err(unexpected(tag, "no end of COPY data")),
            },
            _ => return Err(unexpected(tag, "the answer to an earlier message")),
        }
        Ok(Fate::Pass)
    }

    fn begin_copy(&mut self, tag: u8) -> Result<(), UpstreamFault> {
        let Some(op) = self.pending.front() else {
            return Err(unexpected(tag, "nothing"));
        };
        let (expected, copy, way, direction) = match tag {
            b'G' => (op.expect.copy_in, Copy::In, CopyWay::In, "in"),
            b'H' => (op.expect.copy_out, Copy::Out, CopyWay::Out, "out"),
            _ => (self.options.replication, Copy::Both, CopyWay::Both, "both"),
        };
        if !expected || self.copy != Copy::None {
            return Err(UpstreamFault::Copy { direction });
        }
        if let Some(question) = op.question {
            self.observations.push_back(Observation::Copy { question, direction: way });
        }
        self.copy = copy;
        self.deferred_sync = false;
        Ok(())
    }

    /// A statement is done: of an Execute that was all, of a Query there may be more.
    fn complete(&mut self, tag: &str) {
        self.report_rows();
        self.copy = Copy::None;
        self.note_completed(tag);
        let Some(op) = self.pending.front() else {
            return;
        };
        op.meters.next();
        op.overdue &= is_clocked(op);
        if matches!(op.kind, OpKind::Execute) {
            self.finish();
        }
    }

    pub(super) fn note_completed(&mut self, tag: &str) {
        let gone = self.names.completed(tag);
        self.observations.extend(gone.into_iter().map(Observation::Gone));
        if let Some(question) = self.pending.front().and_then(|op| op.question) {
            let rows = rows_of_tag(tag);
            self.observations.push_back(Observation::Completed { question, tag: tag.to_owned(), rows });
        }
    }

    /// The oldest pending message has succeeded.
    fn finish(&mut self) {
        if let Some(op) = self.pending.pop() {
            // what was bound runs, and the cancel is on its way to it
            if matches!(op.kind, OpKind::Bind { .. } | OpKind::Guard { .. }) && op.overdue {
                match self.pending.front() {
                    Some(next) => next.overdue |= is_clocked(next),
                    None => self.guard_overdue(op.of),
                }
            }
            let gone = self.names.done(&op.kind, op.question);
            self.observations.extend(gone.into_iter().map(Observation::Gone));
        }
    }

    fn take_ready(&mut self, status: TransactionStatus) -> Result<Fate, UpstreamFault> {
        let again = match self.pending.front() {
            Some(Op { kind: OpKind::Again { bytes }, .. }) => Some(std::mem::take(bytes)),
            Some(Op { kind: OpKind::Sync, .. }) => None,
            Some(Op { kind: OpKind::Query | OpKind::Call, refused: None, .. })
                if matches!(self.copy, Copy::None | Copy::InDone) =>
            {
                None
            }
            _ => return Err(unexpected(b'Z', "an answer")),
        };
        let mut told = None;
        if self.is_capped() {
            told = self.ready_of_capped(status);
            if told.is_none() {
                return Ok(Fate::Swallow);
            }
        }
        self.copy = Copy::None;
        self.finish();
        self.settled = self.pending.len() == 0;
        self.unsettled = false;
        self.status = status;
        if status == TransactionStatus::Idle {
            self.due = self.pending.strictest();
            let gone = self.names.transaction_over();
            self.observations.extend(gone.into_iter().map(Observation::Gone));
        }
        self.observations.push_back(Observation::Ready(status));
        if let Some(again) = again {
            self.take_again(again);
            return Ok(Fate::Swallow);
        }
        let Some(told) = told else { return Ok(Fate::Pass) };
        let mut out = BytesMut::new();
        told.encode_error(&mut out);
        ServerMessage::ReadyForQuery(status).encode(&mut out);
        Ok(Fate::Swap(out))
    }

    fn take_error(&mut self, fields: &Fields<'_>) -> Result<Fate, UpstreamFault> {
        self.report_rows();
        if fields.severity().ends_connection() {
            self.dying = true;
            let fate = self.scrubbed(b'E', fields, true);
            self.failed(None, fields, fields.sqlstate(), false);
            return Ok(fate);
        }
        self.unpark();
        let mut drifted = None;
        if self.is_guarding() {
            match self.guard_failed(fields.sqlstate()) {
                GuardFailed::Replays => return Ok(Fate::Swallow),
                GuardFailed::Told(told) => drifted = Some(told),
                GuardFailed::AsItIs => {}
            }
        }
        let Some(op) = self.pending.front() else {
            return Err(unexpected(b'E', "nothing"));
        };
        if op.failed {
            return Err(unexpected(b'E', "readiness after an error"));
        }
        let refused = op.refused.take();
        let is_refusal = refused.is_some();
        let told = refused.or(drifted);
        let question = op.question;
        let replaced = op.replaced;
        let capped = self.error_of_cap(fields.sqlstate());
        let Some(op) = self.pending.front() else {
            return Err(unexpected(b'E', "nothing"));
        };
        if matches!(op.kind, OpKind::Query | OpKind::Call | OpKind::Sync) {
            // ReadyForQuery follows
            op.failed = true;
        } else {
            self.skip_to_sync();
        }
        let was_copying = std::mem::replace(&mut self.copy, Copy::None) == Copy::In;
        if was_copying && std::mem::take(&mut self.deferred_sync) {
            let mut sync = BytesMut::new();
            ClientMessage::Sync.encode(&mut sync);
            self.skipping = false;
            self.send(self.sync(), &sync);
        }
        let is_capped = capped.is_some();
        Ok(match capped.or(told) {
            Some(ours) => {
                if is_capped {
                    self.failed_by_cap(question, &ours);
                } else {
                    self.failed(question, fields, &ours.sqlstate, is_refusal);
                }
                let mut out = BytesMut::new();
                ours.encode_error(&mut out);
                Fate::Swap(out)
            }
            None => {
                self.failed(question, fields, fields.sqlstate(), false);
                self.scrubbed(b'E', fields, replaced)
            }
        })
    }

    /// The oldest pending message of the extended protocol has failed.
    fn skip_to_sync(&mut self) {
        let (skipped, skipping) = self.pending.skip_to_sync();
        self.skipping = skipping;
        let mut skipped = skipped.into_iter();
        if let Some(failed) = skipped.next() {
            let gone = self.names.failed(&failed.kind, self.pending.iter());
            self.observations.extend(gone.into_iter().map(Observation::Gone));
            if let (OpKind::Parse { .. } | OpKind::Bind { .. }, Some(id)) = (&failed.kind, failed.question) {
                self.observations.push_back(Observation::Gone(id));
            }
        }
        for op in skipped {
            match op.question {
                // ours; the Parse that it belongs to is reported by itself
                Some(_) if matches!(op.kind, OpKind::Describe(_)) => {}
                Some(id) => self.skip(&op.kind, id),
                None => {}
            }
        }
    }

    fn failed(&mut self, question: Option<QuestionId>, fields: &Fields<'_>, told: &str, refused: bool) {
        self.observations.push_back(Observation::Failed {
            question,
            sqlstate: told.to_owned(),
            upstream: Box::new(fields.summary()),
            refused,
        });
    }

    fn scrubbed(&self, tag: u8, fields: &Fields<'_>, replaced: bool) -> Fate {
        let mut out = BytesMut::new();
        match self.options.scrub {
            Scrub::None if !replaced || fields.field(b'P').is_none() => return Fate::Pass,
            Scrub::None => fields.encode_without(b'P', tag, &mut out),
            Scrub::Generic => {
                let mut shown = scrub::scrub(fields);
                if replaced {
                    shown.position = None;
                }
                if tag == b'E' { shown.encode_error(&mut out) } else { shown.encode_notice(&mut out) }
            }
        }
        Fate::Swap(out)
    }

    /// Reports the rows of the oldest pending message that have not been.
    pub(super) fn report_rows(&mut self) {
        let Some(op) = self.pending.front() else {
            return;
        };
        let count = std::mem::take(&mut op.rows);
        if let (Some(question), 1..) = (op.question, count) {
            self.observations.push_back(Observation::Rows { question, count });
        }
    }
}

fn swap(message: &ServerMessage<'_>) -> Fate {
    let mut out = BytesMut::new();
    message.encode(&mut out);
    Fate::Swap(out)
}

pub(super) fn unexpected(tag: u8, expected: &'static str) -> UpstreamFault {
    UpstreamFault::Unexpected { tag, expected }
}

fn name(tag: u8) -> &'static str {
    match tag {
        b'C' => "CommandComplete",
        b'E' => "ErrorResponse",
        b'N' => "NoticeResponse",
        b'T' => "RowDescription",
        b'Z' => "ReadyForQuery",
        b't' => "ParameterDescription",
        _ => "server",
    }
}

/// A row or piece of COPY data above this size passes in pieces, so that it is never held whole.
const PIECE: usize = 64 * 1024;

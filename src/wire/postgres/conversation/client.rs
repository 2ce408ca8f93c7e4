//! The client's side: what it sends, and the answers to questions about it.
//!
//! Job: let through what needs no question, ask about the rest, and put in place of what is refused
//! a message that is sure to fail. Boundary: never looks at answers of the database, only at what is
//! still pending. Failure mode: a [`ClientFault`].

use bytes::{Buf, Bytes, BytesMut};

use super::capping::{holds_what_follows, is_clocked};
use super::guard::{BEFORE, is_reserved};
use super::meter::{Due, Meters};
use super::names::{self, MAX_NAMES};
use super::pending::{Copy, Describe, MAX_PENDING, Op, OpKind};
use crate::wire::postgres::conversation::{
    Answer, Ask, Conversation, Expect, Guard, Observation, Open, Piece, Question, QuestionId, Text,
};
use crate::wire::postgres::error::ErrorFields;
use crate::wire::postgres::fault::ClientFault;
use crate::wire::postgres::frame::{self, Frame, Head};
use crate::wire::postgres::frontend::{ClientMessage, FunctionCall, Parse, Subject};

impl Conversation {
    pub(super) fn take_client(&mut self, input: &mut BytesMut) -> Result<(), ClientFault> {
        self.put_back(input);
        while self.question.is_none()
            && self.parked.is_none()
            && !self.terminated
            && self.upstream.len() < self.options.output_cap
        {
            if self.client_piece != Piece::None {
                if input.is_empty() {
                    break;
                }
                self.take_piece(input);
                continue;
            }
            let Some(head) = Head::peek(input)? else {
                break;
            };
            let more = match self.copy {
                Copy::In => self.take_copy_in(head, input)?,
                Copy::Both => self.take_copy_both(head, input)?,
                Copy::InDone | Copy::None | Copy::Out => self.take_ordinary(head, input)?,
            };
            if !more {
                break;
            }
        }
        Ok(())
    }

    /// Whether the client's next message must wait for an answer of the database.
    pub(super) fn holds_client(&self) -> bool {
        match self.copy {
            Copy::In | Copy::Both => false,
            Copy::InDone | Copy::None | Copy::Out => {
                self.unsettled || self.pending.decides_what_follows() || self.pending.len() >= MAX_PENDING
            }
        }
    }

    fn take_piece(&mut self, input: &mut BytesMut) {
        match self.client_piece {
            Piece::Drop(left) => {
                let count = left.min(input.len());
                input.advance(count);
                self.client_piece = if count == left { Piece::None } else { Piece::Drop(left - count) };
            }
            Piece::Forward(left) => {
                let count = left.min(input.len());
                self.upstream.unsplit(input.split_to(count));
                self.client_piece = if count == left { Piece::None } else { Piece::Forward(left - count) };
            }
            Piece::None => {}
        }
    }

    /// While the database reads COPY data. Returns whether to go on.
    fn take_copy_in(&mut self, head: Head, input: &mut BytesMut) -> Result<bool, ClientFault> {
        match head.tag {
            b'd' => {
                self.deferred_sync = false;
                self.client_piece = Piece::Forward(head.total);
                return Ok(true);
            }
            b'H' | b'S' | b'X' | b'c' | b'f' => {}
            tag => return Err(ClientFault::Unexpected { tag, expected: "COPY data" }),
        }
        let Some(frame) = frame::take(input, self.options.limits.client)? else {
            return Ok(false);
        };
        parse(&frame)?;
        match frame.tag {
            b'c' | b'f' => {
                self.deferred_sync = false;
                self.copy = Copy::InDone;
                self.upstream.extend_from_slice(&frame.bytes);
                // the Sync behind is held until the COPY has answered; of a Query it is not needed,
                // and of an Execute the first Flush was read and thrown away as part of the COPY
                ClientMessage::Flush.encode(&mut self.upstream);
            }
            // During COPY in PostgreSQL reads Sync and throws it away; clients that do not know what
            // they started send one behind Execute. If the COPY fails before its first data, though,
            // the Sync counts. So the first one waits until that is clear.
            b'S' => self.deferred_sync = true,
            b'X' => self.terminate(&frame),
            _ => {}
        }
        Ok(true)
    }

    /// While COPY goes both ways (replication). Returns whether to go on.
    fn take_copy_both(&mut self, head: Head, input: &mut BytesMut) -> Result<bool, ClientFault> {
        match head.tag {
            b'd' => {
                self.client_piece = Piece::Forward(head.total);
                return Ok(true);
            }
            b'H' | b'S' | b'X' | b'c' => {}
            tag => return Err(ClientFault::Unexpected { tag, expected: "replication messages" }),
        }
        let Some(frame) = frame::take(input, self.options.limits.client)? else {
            return Ok(false);
        };
        parse(&frame)?;
        match frame.tag {
            b'c' => self.upstream.extend_from_slice(&frame.bytes),
            b'X' => self.terminate(&frame),
            _ => {}
        }
        Ok(true)
    }

    /// Outside COPY in. Returns whether to go on.
    fn take_ordinary(&mut self, head: Head, input: &mut BytesMut) -> Result<bool, ClientFault> {
        match head.tag {
            b'B' | b'C' | b'D' | b'E' | b'F' | b'H' | b'P' | b'Q' | b'S' | b'X' | b'c' | b'd' | b'f' => {}
            tag => return Err(ClientFault::Unexpected { tag, expected: "a query" }),
        }
        if self.holds_client() {
            return Ok(false);
        }
        // COPY data outside COPY in is what a client still had under way when its COPY failed;
        // PostgreSQL throws it away. Everything that comes before the Sync after an error, likewise.
        let skipped = self.skipping && !matches!(head.tag, b'S' | b'X');
        if skipped || matches!(head.tag, b'c' | b'd' | b'f') {
            self.client_piece = Piece::Drop(head.total);
            return Ok(true);
        }
        // the meaning of such a text depends on settings, which what is on its way may change; the
        // database reports them when it is ready
        let whole = input.get(5..head.total).filter(|_| matches!(head.tag, b'P' | b'Q'));
        if !self.settled && self.pending.will_be_ready() && whole.is_some_and(depends_on_settings) {
            self.unsettled = true;
            return Ok(false);
        }
        let Some(frame) = frame::take(input, self.options.limits.client)? else {
            return Ok(false);
        };
        self.keep_for_replay(&frame);
        self.take_message(frame)?;
        Ok(true)
    }

    fn take_message(&mut self, frame: Frame) -> Result<(), ClientFault> {
        let text = |bytes: &[u8]| Text(frame.bytes.slice_ref(bytes));
        let values = |values: &[Option<&[u8]>]| -> Vec<Option<Bytes>> {
            values.iter().map(|value| value.map(|bytes| frame.bytes.slice_ref(bytes))).collect()
        };
        let (kind, ask) = match parse(&frame)? {
            ClientMessage::Bind(bind) => (
                OpKind::Bind { portal: names::key(bind.portal) },
                Ask::Bind {
                    portal: text(bind.portal),
                    statement: text(bind.statement),
                    parsed: self.names.statements.resolve(bind.statement),
                    values: values(&bind.values),
                    formats: bind.formats,
                    result_formats: bind.result_formats,
                },
            ),
            ClientMessage::Execute { portal, max_rows } => (
                OpKind::Execute,
                Ask::Execute { portal: text(portal), bound: self.names.portals.resolve(portal), max_rows },
            ),
            ClientMessage::FunctionCall(call) => (
                OpKind::Call,
                Ask::Call { oid: call.oid, arguments: values(&call.arguments), formats: call.formats },
            ),
            ClientMessage::Parse(parse) => (
                OpKind::Parse { statement: names::key(parse.statement) },
                Ask::Parse { statement: text(parse.statement), text: text(parse.text), types: parse.types },
            ),
            ClientMessage::Query(sql) => (OpKind::Query, Ask::Query { text: text(sql) }),
            ClientMessage::Close(subject) => {
                let subject = without_guards(subject);
                let mut bytes = BytesMut::new();
                ClientMessage::Close(subject).encode(&mut bytes);
                let kind = match subject {
                    Subject::Portal(name) => OpKind::ClosePortal { portal: names::key(name) },
                    Subject::Statement(name) => OpKind::CloseStatement { statement: names::key(name) },
                };
                self.send(Op::new(kind, None), &bytes);
                return Ok(());
            }
            ClientMessage::Describe(subject) => {
                let subject = without_guards(subject);
                let mut bytes = BytesMut::new();
                ClientMessage::Describe(subject).encode(&mut bytes);
                let of = match subject {
                    Subject::Portal(name) => self.names.portals.resolve(name),
                    Subject::Statement(name) => self.names.statements.resolve(name),
                };
                let describe = Describe { of, injected: false, parameters: Vec::new() };
                self.send(Op::new(OpKind::Describe(describe), None), &bytes);
                return Ok(());
            }
            ClientMessage::Flush => {
                self.upstream.extend_from_slice(&frame.bytes);
                return Ok(());
            }
            ClientMessage::Sync => {
                self.skipping = false;
                self.send(self.sync(), &frame.bytes);
                return Ok(());
            }
            ClientMessage::Terminate => {
                self.terminate(&frame);
                return Ok(());
            }
            // handled before
            ClientMessage::CopyData(_)
            | ClientMessage::CopyDone
            | ClientMessage::CopyFail(_)
            | ClientMessage::Password(_) => {
                return Err(ClientFault::Unexpected { tag: frame.tag, expected: "a query" });
            }
        };
        if self.names.len() >= MAX_NAMES {
            return Err(ClientFault::TooMany { what: "prepared statements or portals", limit: MAX_NAMES });
        }
        self.last_question += 1;
        let id = QuestionId(self.last_question);
        if let Some(veiled) = &mut self.veiled {
            veiled.asked(id, &ask);
        }
        let question = Some(Question { id, ask, settled: self.settled, batch: self.batch });
        self.question = Some(Open { id, question, kind, frame, dropped: false });
        Ok(())
    }

    /// Whether the guard was sent.
    pub(super) fn take_answer(&mut self, answer: Answer, guard: Option<&Guard>) -> bool {
        let Some(Open { id, kind, frame, dropped, .. }) = self.question.take() else {
            return false;
        };
        let meters = std::mem::take(&mut self.meters).with_due(self.due.as_ref());
        let layout = self.layout.take();
        if self.skipping || dropped {
            // an earlier message failed while this one was judged: the database would skip it, or it comes again
            self.skip(&kind, id);
            return false;
        }
        let refused = matches!(answer, Answer::Refuse(_));
        let guard = guard.filter(|_| !refused);
        if let Some(guard) = guard {
            self.send_guard(guard, &frame, id, &meters);
        }
        let alone = guard.is_some_and(|guard| guard.alone);
        let guarded = guard.is_some() && matches!(kind, OpKind::Query);
        let answer = match answer {
            Answer::Forward(expect) if guarded => {
                let text = ClientMessage::parse(frame.tag, frame.body());
                let text = match &text {
                    Ok(Some(ClientMessage::Query(text))) => std::str::from_utf8(text).unwrap_or("\0"),
                    _ => "\0",
                };
                Answer::Replace { text: text.to_owned(), expect }
            }
            answer => answer,
        };
        match answer {
            Answer::Forward(expect) => {
                let op = Op { expect, guarded, meters, layout, ..Op::new(kind, Some(id)) };
                let bytes = frame.bytes.clone();
                self.forward_or_park(op, bytes, frame, alone);
            }
            Answer::Refuse(fields) => self.refuse(kind, id, &frame, fields),
            Answer::Replace { text, expect } => match rewritten(&frame, &preceded(text, guarded)) {
                Some(bytes) => {
                    let op =
                        Op { expect, guarded, preceded: guarded, replaced: true, ..Op::new(kind, Some(id)) };
                    self.forward_or_park(Op { meters, layout, ..op }, bytes.freeze(), frame, alone);
                }
                None => {
                    let fields = ErrorFields::denied("the statement could not be rewritten");
                    self.refuse(kind, id, &frame, Box::new(fields));
                }
            },
        }
        guard.is_some()
    }

    fn forward_or_park(&mut self, op: Op, bytes: Bytes, frame: Frame, alone: bool) {
        if alone { self.park(op, bytes, frame) } else { self.forward(op, &bytes) }
    }

    /// A Sync. It ends the transaction that no BEGIN has begun.
    pub(super) fn sync(&self) -> Op {
        let of = Some(QuestionId(self.last_question));
        Op { of, meters: Meters::of_end(self.due.as_ref()), ..Op::new(OpKind::Sync, None) }
    }

    pub(super) fn forward(&mut self, op: Op, bytes: &[u8]) {
        let id = op.question;
        let expect = op.expect;
        if let Some(veiled) = &mut self.veiled {
            let shifts = expect.shifts && matches!(op.kind, OpKind::Parse { .. });
            veiled.forwarded(id.filter(|_| shifts));
        }
        match &op.kind {
            OpKind::Parse { statement } if self.options.inspect => {
                let mut describe = BytesMut::new();
                ClientMessage::Describe(Subject::Statement(statement)).encode(&mut describe);
                self.send(Op { expect: Expect::default(), ..op }, bytes);
                let kind = Describe { of: id, injected: true, parameters: Vec::new() };
                self.send(Op::new(OpKind::Describe(kind), id), &describe);
            }
            // COPY cannot come of these
            OpKind::Parse { .. } | OpKind::Bind { .. } | OpKind::Call => {
                self.send(Op { expect: Expect::default(), ..op }, bytes);
            }
            OpKind::Execute if expect.copy_in || expect.renames || holds_what_follows(&op) => {
                self.send(op, bytes);
                // what the client sends next is held until this is answered, so it must be answered
                // without waiting for the Sync that is held
                ClientMessage::Flush.encode(&mut self.upstream);
            }
            _ => self.send(op, bytes),
        }
    }

    /// Sends in place of a refused message one that fails.
    pub(super) fn refuse(&mut self, kind: OpKind, id: QuestionId, frame: &Frame, fields: Box<ErrorFields>) {
        let mut bytes = BytesMut::new();
        let kind = match kind {
            OpKind::Parse { .. } => {
                // under the client's name, because a failing Parse drops the unnamed statement
                let statement = match ClientMessage::parse(frame.tag, frame.body()) {
                    Ok(Some(ClientMessage::Parse(parse))) => parse.statement,
                    _ => &[],
                };
                denied_parse(statement).encode(&mut bytes);
                kind
            }
            OpKind::Query => {
                ClientMessage::Query(DENIED).encode(&mut bytes);
                kind
            }
            OpKind::Call => {
                // no function has this OID
                let call =
                    FunctionCall { oid: 0, formats: Vec::new(), arguments: Vec::new(), result_format: 0 };
                ClientMessage::FunctionCall(call).encode(&mut bytes);
                kind
            }
            _ => {
                denied_parse(DENIED_NAME).encode(&mut bytes);
                OpKind::Denied
            }
        };
        self.send(Op { refused: Some(fields), ..Op::new(kind, Some(id)) }, &bytes);
    }

    pub(super) fn send(&mut self, op: Op, bytes: &[u8]) {
        if self.pending.len() > 0 && is_clocked(&op) && !self.is_of_guard(&op) {
            // the database keeps answers back until it must send them, and nobody would know what it works on
            ClientMessage::Flush.encode(&mut self.upstream);
        }
        self.upstream.extend_from_slice(bytes);
        self.note_sent(op);
    }

    /// Takes note of a message that the database has, or skips as if it had.
    pub(super) fn note_sent(&mut self, op: Op) {
        self.due = self.due.take().into_iter().chain(op.meters.strictest()).reduce(Due::stricter);
        self.batch += u64::from(matches!(op.kind, OpKind::Query | OpKind::Call | OpKind::Sync));
        self.names.sent(&op);
        self.pending.push(op);
        self.settled = false;
    }

    /// Takes note that a message will not run because an earlier one failed.
    pub(super) fn skip(&mut self, kind: &OpKind, id: QuestionId) {
        self.observations.push_back(match kind {
            OpKind::Bind { .. } | OpKind::Parse { .. } => Observation::Gone(id),
            _ => Observation::Skipped(id),
        });
    }

    fn terminate(&mut self, frame: &Frame) {
        self.upstream.extend_from_slice(&frame.bytes);
        self.terminated = true;
    }
}

/// Whether the same bytes can be read as other SQL: a backslash escapes or not, and in some encodings a
/// byte that is no ASCII takes the one behind it along.
fn depends_on_settings(text: &[u8]) -> bool {
    text.iter().any(|byte| *byte == b'\\' || !byte.is_ascii())
}

fn parse(frame: &Frame) -> Result<ClientMessage<'_>, ClientFault> {
    match ClientMessage::parse(frame.tag, frame.body()) {
        Ok(Some(message)) => Ok(message),
        Ok(None) => Err(ClientFault::Unexpected { tag: frame.tag, expected: "a query" }),
        Err(source) => Err(ClientFault::Malformed { message: name(frame.tag), source }),
    }
}

/// The message with other SQL in it.
fn rewritten(frame: &Frame, sql: &str) -> Option<BytesMut> {
    if sql.as_bytes().contains(&0) {
        return None;
    }
    let mut bytes = BytesMut::with_capacity(frame.bytes.len() + sql.len());
    match ClientMessage::parse(frame.tag, frame.body()) {
        Ok(Some(ClientMessage::Query(_))) => ClientMessage::Query(sql.as_bytes()).encode(&mut bytes),
        Ok(Some(ClientMessage::Parse(parse))) => {
            ClientMessage::Parse(Parse { text: sql.as_bytes(), ..parse }).encode(&mut bytes);
        }
        _ => return None,
    }
    Some(bytes)
}

/// What a client describes or closes. What guards have made is none of its business: there is nothing of the name that it
/// gets instead.
fn without_guards(subject: Subject<'_>) -> Subject<'_> {
    match subject {
        Subject::Portal(name) if is_reserved(name) => Subject::Portal(DENIED_NAME),
        Subject::Statement(name) if is_reserved(name) => Subject::Statement(DENIED_NAME),
        other => other,
    }
}

/// What a Query says behind a guard.
fn preceded(text: String, guarded: bool) -> String {
    if guarded { format!("{BEFORE}{text}") } else { text }
}

pub(super) fn denied_parse(statement: &[u8]) -> ClientMessage<'_> {
    ClientMessage::Parse(Parse { statement, text: DENIED, types: Vec::new() })
}

fn name(tag: u8) -> &'static str {
    match tag {
        b'B' => "Bind",
        b'C' => "Close",
        b'D' => "Describe",
        b'E' => "Execute",
        b'F' => "FunctionCall",
        b'P' => "Parse",
        b'Q' => "Query",
        b'f' => "CopyFail",
        _ => "client",
    }
}

/// Not SQL in any version, so it fails in the parser, before anything else is looked at: also in a
/// failed transaction, and without touching anything.
pub(super) const DENIED: &[u8] = b"hoopctl: denied";

/// Named, because a Parse of the unnamed statement would drop the client's.
const DENIED_NAME: &[u8] = b"hoopctl_denied";

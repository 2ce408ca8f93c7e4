//! Results on their way to the client, where they are looked into.
//!
//! Job: know for each row which columns it has, as far as the database has said so, and let a [`Veil`] cover their
//! values, the rows of COPY, and the texts of errors, notices and notifications. Boundary: what is hidden is the veil's
//! to say. A row in which nothing is found is passed on as it came. Failure mode: values of which nobody knows the type
//! are looked at as anything; a COPY in binary is a fault.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::pending::{Copy, MAX_PENDING, OpKind};
use super::upstream::Fate;
use crate::wire::buffer::{ReadError, Reader, put_counted, put_value};
use crate::wire::postgres::backend::{Column, ServerMessage};
use crate::wire::postgres::conversation::{Ask, Conversation, Observation, QuestionId};
use crate::wire::postgres::error::Fields;
use crate::wire::postgres::fault::UpstreamFault;
use crate::wire::postgres::frame::FrameError;
use crate::wire::postgres::veil::{CopyLayout, Found, Hint, Look, Veil};

/// What is known of the results to come.
#[derive(Debug)]
pub(super) struct Veiled {
    veil: Veil,
    /// The columns of what each Parse made.
    shapes: HashMap<QuestionId, Arc<[Column]>>,
    /// The Parses of what has other columns another time: those that are described are not what will come.
    shifting: HashSet<QuestionId>,
    /// The Bind that is being asked about.
    asked: Option<(QuestionId, Bound)>,
    /// What each Bind made.
    bounds: HashMap<QuestionId, Bound>,
    /// The portals of the Executes that were asked about, oldest first.
    executes: VecDeque<(QuestionId, Option<QuestionId>)>,
    /// How the columns of the Query at hand are looked at.
    looks: Arc<[Look]>,
    /// A row of COPY that is not whole yet.
    record: BytesMut,
    /// How the rows of the COPY are written.
    layout: Option<CopyLayout>,
    /// What its columns' names give away.
    hints: Vec<Hint>,
}

/// A portal.
#[derive(Debug)]
struct Bound {
    parsed: Option<QuestionId>,
    formats: Vec<i16>,
    looks: Option<Arc<[Look]>>,
}

impl Veiled {
    pub(super) fn new(veil: Veil) -> Self {
        Self {
            veil,
            shapes: HashMap::new(),
            shifting: HashSet::new(),
            asked: None,
            bounds: HashMap::new(),
            executes: VecDeque::new(),
            looks: Arc::default(),
            record: BytesMut::new(),
            layout: None,
            hints: Vec::new(),
        }
    }

    /// A question is put.
    pub(super) fn asked(&mut self, id: QuestionId, ask: &Ask) {
        self.asked = None;
        match ask {
            Ask::Bind { parsed, result_formats, .. } => {
                let bound = Bound { parsed: *parsed, formats: result_formats.clone(), looks: None };
                self.asked = Some((id, bound));
            }
            Ask::Execute { bound, .. } => {
                self.executes.push_back((id, *bound));
                // no more can be unanswered
                if self.executes.len() > 2 * MAX_PENDING {
                    self.executes.pop_front();
                }
            }
            _ => {}
        }
    }

    /// What was asked goes to the database; `shifting` is a Parse of what has other columns another time.
    pub(super) fn forwarded(&mut self, shifting: Option<QuestionId>) {
        self.bounds.extend(self.asked.take());
        self.shifting.extend(shifting);
    }

    /// The database has said which columns come of something.
    pub(super) fn described(&mut self, of: Option<QuestionId>, is_query: bool, columns: &[Column]) {
        if is_query {
            self.looks = self.looks_of(columns, None);
        } else if let Some(id) = of {
            if self.bounds.contains_key(&id) {
                // of a portal the formats are known
                let looks = self.looks_of(columns, None);
                self.bounds.entry(id).and_modify(|bound| bound.looks = Some(looks));
            } else if !self.shifting.contains(&id) {
                self.shapes.insert(id, columns.into());
            }
        }
    }

    /// A portal is made.
    fn bound(&mut self, id: QuestionId) {
        let Some(bound) = self.bounds.get(&id) else { return };
        let columns = bound.parsed.and_then(|parsed| self.shapes.get(&parsed));
        let looks = columns.map(|columns| self.looks_of(columns, Some(&bound.formats)));
        if let Some(bound) = self.bounds.get_mut(&id) {
            bound.looks = looks;
        }
    }

    /// What a Parse or Bind made is gone.
    pub(super) fn gone(&mut self, id: QuestionId) {
        self.shapes.remove(&id);
        self.shifting.remove(&id);
        self.bounds.remove(&id);
    }

    /// A text without what is found in it.
    fn text(&self, text: String) -> String {
        let shown = self.veil.text(text.as_bytes());
        shown.map_or(text, |shown| String::from_utf8_lossy(&shown).into_owned())
    }

    fn looks_of(&self, columns: &[Column], formats: Option<&[i16]>) -> Arc<[Look]> {
        let look = |(number, column): (usize, &Column)| {
            let format = formats.map_or(column.format, |formats| format_of(formats, number));
            self.veil.look(&column.name, column.type_oid, format)
        };
        columns.iter().enumerate().map(look).collect()
    }

    /// A row of a Query, or of the Execute of this number, if something is found in it.
    fn row(&mut self, execute: Option<QuestionId>, body: &[u8]) -> Result<Option<BytesMut>, ReadError> {
        let mut unknown: &[i16] = &[1];
        let looks: &[Look] = match execute {
            None => &self.looks,
            Some(id) => {
                while self.executes.front().is_some_and(|(first, _)| *first < id) {
                    self.executes.pop_front();
                }
                let portal = self.executes.front().filter(|(first, _)| *first == id);
                match portal.and_then(|(_, portal)| self.bounds.get(&(*portal)?)) {
                    Some(Bound { looks: Some(looks), .. }) => looks,
                    Some(bound) => {
                        unknown = &bound.formats;
                        &[]
                    }
                    None => &[],
                }
            }
        };
        let mut reader = Reader::new(body);
        let count = reader.u16()?;
        let mut shown: Option<BytesMut> = None;
        let mut from = 0;
        for number in 0..usize::from(count) {
            let start = body.len() - reader.rest().len();
            let Some(value) = reader.value()? else { continue };
            let look = match looks.get(number) {
                Some(look) => *look,
                None => self.veil.look("", 0, format_of(unknown, number)),
            };
            let instead = match self.veil.cover(look, value) {
                Found::Nothing => continue,
                Found::Null => None,
                Found::Instead(instead) => Some(instead),
            };
            let shown = shown.get_or_insert_with(|| BytesMut::with_capacity(body.len() + 64));
            shown.put_slice(body.get(from..start).unwrap_or_default());
            put_value(shown, instead.as_deref());
            from = body.len() - reader.rest().len();
        }
        reader.finish()?;
        if let Some(shown) = &mut shown {
            shown.put_slice(body.get(from..).unwrap_or_default());
        }
        Ok(shown)
    }

    /// The next piece of a COPY in text; `None` passes it on as it came. It is held until its row is whole.
    fn copied(&mut self, piece: &[u8], most: usize) -> Result<Option<BytesMut>, UpstreamFault> {
        if self.record.is_empty() && piece.ends_with(b"\n") {
            return Ok(self.whole(piece).map(|shown| framed(b'd', &shown)));
        }
        let length = self.record.len() + piece.len();
        if length > most {
            return Err(FrameError::TooLarge { tag: b'd', length, limit: most }.into());
        }
        self.record.extend_from_slice(piece);
        Ok(Some(if piece.ends_with(b"\n") { self.rest() } else { BytesMut::new() }))
    }

    /// What is held of a COPY.
    fn rest(&mut self) -> BytesMut {
        let record = self.record.split().freeze();
        if record.is_empty() {
            return BytesMut::new();
        }
        framed(b'd', &self.whole(&record).map_or(record, Bytes::from))
    }

    /// A whole row of a COPY, if something is found in it.
    fn whole(&mut self, record: &[u8]) -> Option<Vec<u8>> {
        let Some(layout) = &mut self.layout else { return self.veil.record(record, None) };
        if std::mem::take(&mut layout.header) {
            self.hints = self.veil.hints(&layout.fields(record));
            return self.veil.record(record, None);
        }
        let columns = (!self.hints.is_empty()).then_some((&*layout, self.hints.as_slice()));
        self.veil.record(record, columns)
    }

    /// An error, a notice or a notification, if something is found in it.
    fn message(&self, tag: u8, body: &[u8]) -> Option<BytesMut> {
        let mut out = BytesMut::new();
        match ServerMessage::parse(tag, body) {
            Ok(Some(ServerMessage::ErrorResponse(fields) | ServerMessage::NoticeResponse(fields))) => {
                self.fields(&fields)?.encode(tag, &mut out);
            }
            Ok(Some(ServerMessage::NotificationResponse { process, channel, payload })) => {
                let payload = self.veil.text(payload)?;
                ServerMessage::NotificationResponse { process, channel, payload: &payload }.encode(&mut out);
            }
            Ok(Some(ServerMessage::FunctionCallResponse(Some(value)))) => {
                // its format was the client's to say, its type nobody has told
                if self.veil.cover(self.veil.look("", 0, 1), value) == Found::Nothing {
                    return None;
                }
                ServerMessage::FunctionCallResponse(None).encode(&mut out);
            }
            _ => return None,
        }
        Some(out)
    }

    fn fields(&self, fields: &Fields<'_>) -> Option<Covered> {
        let mut covered = Covered(Vec::new());
        let mut is_found = false;
        for (code, text) in fields.iter() {
            // severities, SQLSTATE, positions, and where in the server's sources
            let is_fixed = b"SVCPpFLR".contains(&code);
            let shown = if is_fixed { None } else { self.veil.text(text) };
            is_found |= shown.is_some();
            covered.0.push((code, shown.unwrap_or_else(|| text.to_vec())));
        }
        is_found.then_some(covered)
    }
}

/// The fields of an error, covered.
struct Covered(Vec<(u8, Vec<u8>)>);

impl Covered {
    fn encode(&self, tag: u8, out: &mut BytesMut) {
        let fields = self.0.iter().map(|(code, text)| (*code, text.as_slice()));
        Fields::from_iter(fields).encode(tag, out);
    }
}

impl Conversation {
    /// How rows come of the open question, if it copies them out. To be said before the answer.
    pub fn handle_layout(&mut self, layout: Option<CopyLayout>) {
        self.layout = layout;
    }

    /// Whether messages of this type are looked into, and so have to be whole.
    pub(super) fn looks_into(&self, tag: u8) -> bool {
        self.veiled.is_some() && (tag == b'D' || (tag == b'd' && self.copy == Copy::Out))
    }

    /// Takes a message of the database that is whole.
    pub(super) fn take_looking(&mut self, tag: u8, body: &[u8]) -> Result<Fate, UpstreamFault> {
        // what a guard is answered goes no further
        let veiled = if self.is_guarding() { None } else { self.veiled.take() };
        let Some(mut veiled) = veiled else { return self.take_answer_message(tag, body) };
        let fate = self.take_veiled(&mut veiled, tag, body);
        self.veiled = Some(veiled);
        fate
    }

    fn take_veiled(&mut self, veiled: &mut Veiled, tag: u8, body: &[u8]) -> Result<Fate, UpstreamFault> {
        match tag {
            b'D' => {
                if !self.take_row(tag, body.len() + HEAD)? {
                    return Ok(Fate::Swallow);
                }
                let execute = self.pending.front().filter(|op| matches!(op.kind, OpKind::Execute));
                let execute = execute.map(|op| op.question.unwrap_or(QuestionId(u64::MAX)));
                let shown = veiled.row(execute, body);
                let shown =
                    shown.map_err(|source| UpstreamFault::Malformed { message: "DataRow", source })?;
                Ok(shown.map_or(Fate::Pass, |shown| Fate::Swap(framed(b'D', &shown))))
            }
            b'd' => {
                if !self.take_row(tag, body.len() + HEAD)? {
                    // a cap is reached: what is held of a row goes no further either
                    veiled.record.clear();
                    return Ok(Fate::Swallow);
                }
                let shown = veiled.copied(body, self.options.limits.upstream)?;
                Ok(shown.map_or(Fate::Pass, Fate::Swap))
            }
            b'H' if body.first() != Some(&0) => Err(UpstreamFault::BinaryCopy),
            b'H' => {
                veiled.layout = self.pending.front().and_then(|op| op.layout.take());
                let names = veiled.layout.as_ref().map_or(&[][..], |layout| &layout.names);
                veiled.hints = veiled.veil.hints(names);
                self.take_answer_message(tag, body)
            }
            b'c' => {
                let fate = self.take_answer_message(tag, body)?;
                let mut rest = veiled.rest();
                if rest.is_empty() {
                    return Ok(fate);
                }
                ServerMessage::CopyDone.encode(&mut rest);
                Ok(Fate::Swap(rest))
            }
            b'A' | b'E' | b'N' | b'V' => {
                // what is held of a COPY that failed is part of no row
                if tag == b'E' {
                    veiled.record.clear();
                }
                let fate = self.take_answer_message(tag, body)?;
                for observation in &mut self.observations {
                    if let Observation::Failed { upstream, .. } = observation {
                        upstream.message = veiled.text(std::mem::take(&mut upstream.message));
                    }
                }
                match fate {
                    Fate::Pass => Ok(veiled.message(tag, body).map_or(Fate::Pass, Fate::Swap)),
                    Fate::Swap(bytes) => {
                        let shown = bytes.get(5..).and_then(|body| veiled.message(tag, body));
                        Ok(Fate::Swap(shown.unwrap_or(bytes)))
                    }
                    Fate::Swallow => Ok(Fate::Swallow),
                }
            }
            b'2' => {
                if let Some(id) = self.pending.front().and_then(|op| op.question) {
                    veiled.bound(id);
                }
                self.take_answer_message(tag, body)
            }
            b'T' => {
                let of = self.pending.front().map(|op| match &op.kind {
                    OpKind::Describe(describe) => (describe.of, false),
                    _ => (op.question, true),
                });
                if let (Some((of, is_query)), Ok(Some(ServerMessage::RowDescription(columns)))) =
                    (of, ServerMessage::parse(tag, body))
                {
                    veiled.described(of, is_query, &columns);
                }
                self.take_answer_message(tag, body)
            }
            _ => self.take_answer_message(tag, body),
        }
    }
}

/// The type and the length of a message.
const HEAD: usize = 5;

fn framed(tag: u8, body: &[u8]) -> BytesMut {
    let mut out = BytesMut::with_capacity(body.len() + 5);
    out.put_u8(tag);
    put_counted(&mut out, |out| out.put_slice(body));
    out
}

/// None: all text; one: for all; otherwise one each (Bind, PostgreSQL's message formats).
fn format_of(formats: &[i16], number: usize) -> i16 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(number).copied().unwrap_or_default(),
    }
}

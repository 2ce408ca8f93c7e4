//! The client's side: what each request does, what is asked about it, and what is sent of it.

use std::collections::VecDeque;

use super::handles::{Access, File, FileId};
use super::order::{Touch, Touches, Waiting};
use super::packet::{MAX_DATA, Packet, kind};
use super::reply::{self, Status, VERSION};
use super::request::{Attributes, Request, RequestError};
use super::upstream::{Answers, Pending};
use super::{Answer, ClientFault, Event, Inspector, Phase, Question, QuestionId, SymlinkOrder};
use crate::domain::facts::{FileFacts, FileOperation};
use crate::wire::ssh::path::{PathError, RemotePath, link_target};

impl Inspector {
    pub(super) fn take_request(&mut self, packet: Packet) -> Result<(), ClientFault> {
        match (self.phase, packet.kind()) {
            (Phase::ExpectInit, kind::INIT) if packet.id() < VERSION => {
                return Err(ClientFault::Version(packet.id()));
            }
            (Phase::ExpectInit, kind::INIT) => {
                self.upstream.push(reply::init());
                self.phase = Phase::ExpectVersion;
                return Ok(());
            }
            (Phase::Open, kind) if kind != kind::INIT => {}
            (_, kind) => return Err(ClientFault::Unexpected(kind)),
        }
        let id = packet.id();
        let step = Request::parse(packet.kind(), packet.body()).map_err(Local::from);
        match step.and_then(|request| self.judge(&request)) {
            Ok(step) => self.take_step(packet, step),
            Err(Local { status, reason }) => {
                self.client.push(reply::status(id, status, &reason));
                self.events.push_back(Event::Refused { kind: packet.kind(), reason });
            }
        }
        Ok(())
    }

    pub(super) fn take_answer(&mut self, id: QuestionId, answer: &Answer) {
        match answer {
            Answer::Forward => {
                if let Some(waiting) = self.order.asking(id) {
                    waiting.open = false;
                    Self::ask(&mut self.questions, &mut self.last_question, waiting);
                }
            }
            Answer::Refuse(refusal) => {
                if let Some(waiting) = self.order.take(id) {
                    let text = refusal.to_string();
                    self.client.push(reply::status(waiting.client, Status::PermissionDenied, &text));
                }
            }
        }
        self.release();
    }

    /// Sends what is judged and not held up.
    fn release(&mut self) {
        while let Some(Waiting { client, asked, packet, pending, .. }) = self.order.next() {
            self.send(packet, client, pending, asked);
        }
    }

    fn take_step(&mut self, mut packet: Packet, step: Step) {
        let client = packet.id();
        let Step { asks, send, pending, touches } = step;
        match send {
            Send::Anew(anew) => packet = *anew,
            Send::AsItCame => {}
            // a READ ends with its length
            Send::Shorter(length) => packet.set_tail(length),
        }
        if asks.is_empty() && !self.order.blocks(&touches) {
            return self.send(packet, client, pending, Vec::new());
        }
        let asks = VecDeque::from(asks);
        let mut waiting = Waiting { client, asks, asked: Vec::new(), open: false, packet, pending, touches };
        Self::ask(&mut self.questions, &mut self.last_question, &mut waiting);
        self.order.push(waiting);
    }

    fn ask(questions: &mut VecDeque<Question>, last: &mut u64, waiting: &mut Waiting) {
        if let Some(facts) = waiting.asks.pop_front() {
            *last += 1;
            let question = Question { id: QuestionId(*last), facts };
            waiting.open = true;
            waiting.asked.push(question.clone());
            questions.push_back(question);
        }
    }

    // INVARIANT: the only way to the host once it is open; whoever calls this has asked
    fn send(&mut self, packet: Packet, client: u32, pending: Pending, asked: Vec<Question>) {
        if let Pending::Close { file } = pending {
            self.handles.release(file);
        }
        self.upstream.push(self.outstanding.send(packet, client, pending, asked));
    }

    fn judge(&self, request: &Request<'_>) -> Result<Step, Local> {
        use FileOperation as Op;
        Ok(match request {
            Request::Close { handle } => {
                let (file, open) = self.file(handle)?;
                Step::on(open, Touch::Changes, Pending::Close { file })
            }
            Request::CopyData { from, to, .. } => {
                let ((_, from), (_, to)) = (self.file(from)?, self.file(to)?);
                if !from.access.reads() || !to.access.writes() {
                    return Err(Local::not_opened_for());
                }
                let mut step = Step::on(to, Touch::Changes, Pending::Plain(Answers::Nothing));
                step.touches.other = Some(from.path.clone());
                step
            }
            Request::ExpandPath { path } => {
                // answered as REALPATH: what `~` is to the host's account is not known here
                let path = match path.strip_prefix(b"~") {
                    None => self.path(path)?,
                    Some(rest) if rest.is_empty() || rest.first() == Some(&b'/') => {
                        let under = rest.iter().position(|byte| *byte != b'/').unwrap_or(rest.len());
                        let rest = rest.get(under..).unwrap_or_default();
                        self.start.as_ref().ok_or(PathError::Relative)?.resolve(rest)?
                    }
                    Some(_) => {
                        return Err(Local {
                            status: Status::Unsupported,
                            reason: "hoopctl does not know other accounts' homes; give the whole path"
                                .to_owned(),
                        });
                    }
                };
                let anew = Request::Realpath { path: path.as_bytes() };
                Step::ask(Op::Stat, &path, Touch::Looks, &anew, Answers::Name)
            }
            Request::Fsetstat { handle, attributes } => {
                let (_, open) = self.file(handle)?;
                let mut step = Step::on(open, Touch::Changes, Pending::Plain(Answers::Nothing));
                if attributes.size.is_some() && !open.access.writes() {
                    step.asks.push(facts(Op::Write, &open.path));
                }
                step.asks.push(facts(Op::Attributes, &open.path));
                step
            }
            Request::Fstat { handle } => {
                Step::on(self.file(handle)?.1, Touch::Looks, Pending::Plain(Answers::Attributes))
            }
            Request::Fstatvfs { handle } => {
                Step::on(self.file(handle)?.1, Touch::Looks, Pending::Plain(Answers::Extended))
            }
            Request::Fsync { handle } => {
                Step::on(self.file(handle)?.1, Touch::Changes, Pending::Plain(Answers::Nothing))
            }
            Request::Hardlink { from, to } => {
                let (from, to) = (self.path(from)?, self.path(to)?);
                let anew = Request::Hardlink { from: from.as_bytes(), to: to.as_bytes() };
                Step::ask_both(Op::Link, &from, &to, &anew)
            }
            Request::HomeDirectory { user } => {
                Self::accounts(&Request::HomeDirectory { user }, Answers::Name)
            }
            Request::UsersGroups { users, groups } => {
                Self::accounts(&Request::UsersGroups { users, groups }, Answers::Extended)
            }
            Request::Limits => Step {
                asks: Vec::new(),
                send: Send::AsItCame,
                pending: Pending::Limits,
                touches: Touches { path: None, other: None, how: Touch::Looks },
            },
            Request::Lsetstat { path, attributes } => {
                let path = self.path(path)?;
                let anew = Request::Lsetstat { path: path.as_bytes(), attributes: *attributes };
                Step::set(&path, attributes, &anew)
            }
            Request::Setstat { path, attributes } => {
                let path = self.path(path)?;
                let anew = Request::Setstat { path: path.as_bytes(), attributes: *attributes };
                Step::set(&path, attributes, &anew)
            }
            Request::Lstat { path } => {
                let path = self.path(path)?;
                let anew = Request::Lstat { path: path.as_bytes() };
                Step::ask(Op::Stat, &path, Touch::Looks, &anew, Answers::Attributes)
            }
            Request::Stat { path } => {
                let path = self.path(path)?;
                let anew = Request::Stat { path: path.as_bytes() };
                Step::ask(Op::Stat, &path, Touch::Looks, &anew, Answers::Attributes)
            }
            Request::Statvfs { path } => {
                let path = self.path(path)?;
                let anew = Request::Statvfs { path: path.as_bytes() };
                Step::ask(Op::Stat, &path, Touch::Looks, &anew, Answers::Extended)
            }
            Request::Readlink { path } => {
                let path = self.path(path)?;
                let anew = Request::Readlink { path: path.as_bytes() };
                Step::ask(Op::Stat, &path, Touch::Looks, &anew, Answers::Name)
            }
            Request::Realpath { path } => {
                let path = self.path(path)?;
                let anew = Request::Realpath { path: path.as_bytes() };
                Step::ask(Op::Stat, &path, Touch::Looks, &anew, Answers::Name)
            }
            Request::Mkdir { path, attributes } => {
                let path = self.path(path)?;
                let anew = Request::Mkdir { path: path.as_bytes(), attributes: *attributes };
                let mut step = Step::ask(Op::MakeDirectory, &path, Touch::Moves, &anew, Answers::Nothing);
                if attributes.is_special() {
                    step.asks.push(facts(Op::Attributes, &path));
                }
                step
            }
            Request::Open { path, flags, attributes } => self.open(path, *flags, *attributes)?,
            Request::Opendir { path } => {
                self.room()?;
                let path = self.path(path)?;
                let anew = Request::Opendir { path: path.as_bytes() };
                let mut step = Step::ask(Op::List, &path, Touch::Looks, &anew, Answers::Nothing);
                step.pending = Pending::Open { path, access: Access::Directory };
                step
            }
            Request::PosixRename { from, to } => {
                let (from, to) = (self.path(from)?, self.path(to)?);
                let anew = Request::PosixRename { from: from.as_bytes(), to: to.as_bytes() };
                Step::ask_both(Op::Rename, &from, &to, &anew)
            }
            Request::Rename { from, to } => {
                let (from, to) = (self.path(from)?, self.path(to)?);
                let anew = Request::Rename { from: from.as_bytes(), to: to.as_bytes() };
                Step::ask_both(Op::Rename, &from, &to, &anew)
            }
            Request::Read { handle, length, .. } => {
                let (file, open) = self.file(handle)?;
                if !open.access.reads() {
                    return Err(Local::not_opened_for());
                }
                let most = u32::try_from(MAX_DATA).unwrap_or(u32::MAX);
                let asked = (*length).min(most);
                let mut step = Step::on(open, Touch::Looks, Pending::Read { file, length: asked });
                if asked != *length {
                    step.send = Send::Shorter(asked);
                }
                step
            }
            Request::Readdir { handle } => {
                let (_, open) = self.file(handle)?;
                if open.access != Access::Directory {
                    return Err(Local::not_opened_for());
                }
                Step::on(open, Touch::Looks, Pending::Plain(Answers::Name))
            }
            Request::Remove { path } => {
                let path = self.path(path)?;
                let anew = Request::Remove { path: path.as_bytes() };
                Step::ask(Op::Remove, &path, Touch::Moves, &anew, Answers::Nothing)
            }
            Request::Rmdir { path } => {
                let path = self.path(path)?;
                let anew = Request::Rmdir { path: path.as_bytes() };
                Step::ask(Op::RemoveDirectory, &path, Touch::Moves, &anew, Answers::Nothing)
            }
            Request::Symlink { first, second } => self.symlink(first, second)?,
            Request::Write { handle, data, .. } => {
                let (file, open) = self.file(handle)?;
                if !open.access.writes() {
                    return Err(Local::not_opened_for());
                }
                let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
                Step::on(open, Touch::Changes, Pending::Write { file, length })
            }
        })
    }

    fn open(&self, path: &[u8], flags: u32, attributes: Attributes) -> Result<Step, Local> {
        self.room()?;
        let path = self.path(path)?;
        // as OpenSSH reads them: without WRITE it is opened for reading, and is made or cut nevertheless
        let access = match (flags & READ != 0, flags & WRITE != 0) {
            (true, true) => Access::ReadWrite,
            (false, true) => Access::Write,
            (_, false) => Access::Read,
        };
        let changes = flags & (WRITE | APPEND | CREATE | TRUNCATE) != 0;
        let mut asks = Vec::new();
        if access.reads() {
            asks.push(facts(FileOperation::Read, &path));
        }
        if changes {
            asks.push(facts(FileOperation::Write, &path));
        }
        if changes && attributes.is_special() {
            asks.push(facts(FileOperation::Attributes, &path));
        }
        // whoever only reads sets nothing
        let attributes = if changes { attributes } else { Attributes::default() };
        let anew = Request::Open { path: path.as_bytes(), flags: flags & FLAGS, attributes };
        let how = if changes { Touch::Changes } else { Touch::Looks };
        Ok(Step {
            asks,
            send: Send::Anew(Box::new(anew.encode())),
            touches: Touches { path: Some(path.clone()), other: None, how },
            pending: Pending::Open { path, access },
        })
    }

    fn symlink(&self, first: &[u8], second: &[u8]) -> Result<Step, Local> {
        let (link, target) = match self.options.symlink {
            SymlinkOrder::LinkFirst => (first, second),
            SymlinkOrder::TargetFirst => (second, first),
        };
        let link = self.path(link)?;
        let target = link_target(target)?;
        let to = link.parent().resolve(&target)?;
        let anew = match self.options.symlink {
            SymlinkOrder::LinkFirst => Request::Symlink { first: link.as_bytes(), second: &target },
            SymlinkOrder::TargetFirst => Request::Symlink { first: &target, second: link.as_bytes() },
        };
        Ok(Step::ask_both(FileOperation::Symlink, &link, &to, &anew))
    }

    /// A look into the host's list of accounts. It has no path, so it is judged as a look at the file
    /// that it comes from.
    fn accounts(anew: &Request<'_>, answers: Answers) -> Step {
        let path = RemotePath::root().resolve(ACCOUNTS).unwrap_or_else(|_| RemotePath::root());
        Step::ask(FileOperation::Stat, &path, Touch::Looks, anew, answers)
    }

    fn path(&self, path: &[u8]) -> Result<RemotePath, PathError> {
        match &self.start {
            Some(start) => start.resolve(path),
            None => RemotePath::absolute(path),
        }
    }

    fn file(&self, handle: &[u8]) -> Result<(FileId, &File), Local> {
        self.handles.find(handle).ok_or_else(|| Local {
            status: Status::Failure,
            reason: "hoopctl knows no open file of this handle".to_owned(),
        })
    }

    fn room(&self) -> Result<(), Local> {
        let held = self.order.iter().filter(|waiting| matches!(waiting.pending, Pending::Open { .. }));
        if self.handles.len() + self.outstanding.opening() + held.count() < self.options.handles {
            return Ok(());
        }
        let reason = format!("hoopctl allows {} open files at once", self.options.handles);
        Err(Local { status: Status::Failure, reason })
    }
}

/// What becomes of a request.
struct Step {
    asks: Vec<FileFacts>,
    send: Send,
    pending: Pending,
    touches: Touches,
}

enum Send {
    Anew(Box<Packet>),
    AsItCame,
    Shorter(u32),
}

impl Step {
    /// A request on an open file: judged when that was opened.
    fn on(file: &File, how: Touch, pending: Pending) -> Self {
        let touches = Touches { path: Some(file.path.clone()), other: None, how };
        Self { asks: Vec::new(), send: Send::AsItCame, pending, touches }
    }

    fn ask(
        operation: FileOperation,
        path: &RemotePath,
        how: Touch,
        anew: &Request<'_>,
        answers: Answers,
    ) -> Self {
        Self {
            asks: vec![facts(operation, path)],
            send: Send::Anew(Box::new(anew.encode())),
            pending: Pending::Plain(answers),
            touches: Touches { path: Some(path.clone()), other: None, how },
        }
    }

    fn ask_both(operation: FileOperation, path: &RemotePath, to: &RemotePath, anew: &Request<'_>) -> Self {
        let mut step = Self::ask(operation, path, Touch::Moves, anew, Answers::Nothing);
        step.asks = vec![FileFacts { operation, path: path.shown(), to: Some(to.shown()) }];
        step.touches.other = Some(to.clone());
        step
    }

    fn set(path: &RemotePath, attributes: &Attributes, anew: &Request<'_>) -> Self {
        let mut step = Self::ask(FileOperation::Attributes, path, Touch::Changes, anew, Answers::Nothing);
        // cutting a file changes what is in it
        if attributes.size.is_some() {
            step.asks.insert(0, facts(FileOperation::Write, path));
        }
        step
    }
}

fn facts(operation: FileOperation, path: &RemotePath) -> FileFacts {
    FileFacts { operation, path: path.shown(), to: None }
}

/// Why a request is refused without a question.
struct Local {
    status: Status,
    reason: String,
}

impl Local {
    fn not_opened_for() -> Self {
        Self { status: Status::PermissionDenied, reason: "the handle was not opened for that".to_owned() }
    }
}

impl From<PathError> for Local {
    fn from(error: PathError) -> Self {
        Self { status: Status::PermissionDenied, reason: error.to_string() }
    }
}

impl From<RequestError> for Local {
    fn from(error: RequestError) -> Self {
        let status = match error {
            RequestError::Malformed(_) => Status::BadMessage,
            RequestError::Unknown => Status::Unsupported,
        };
        Self { status, reason: error.to_string() }
    }
}

/// Where accounts come from.
const ACCOUNTS: &[u8] = b"/etc/passwd";

/// OPEN's flags (§6.3).
const READ: u32 = 1;
const WRITE: u32 = 2;
const APPEND: u32 = 4;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 16;
const FLAGS: u32 = 0x3f;

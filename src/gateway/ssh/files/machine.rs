//! The two machines that inspect files, as their driver sees them.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

use crate::domain::facts::{FileFacts, FileOperation};
use crate::wire::ssh::refusal::Refusal;
use crate::wire::ssh::{scp, sftp};

/// A machine that inspects a channel.
pub(in crate::gateway::ssh) enum Machine {
    Scp(Box<scp::Inspector>),
    Sftp(Box<sftp::Inspector>),
}

/// Somebody broke the protocol.
#[derive(Debug, Error)]
pub(in crate::gateway::ssh) enum Fault {
    #[error("{0}")]
    Scp(#[from] scp::Fault),
    #[error("{0}")]
    SftpClient(#[from] sftp::ClientFault),
    #[error("{0}")]
    SftpHost(#[from] sftp::UpstreamFault),
}

/// What a machine has seen.
pub(super) enum Seen {
    /// These questions' operation is done; each with the bytes that went with it.
    Done { asked: Vec<(u64, u64)>, tag: String },
    /// It was not.
    Failed { asked: Vec<u64>, why: String },
    /// Nothing worth a word.
    Nothing,
    /// Something was refused without a question.
    Refused(String),
}

impl Machine {
    pub(in crate::gateway::ssh) fn sftp() -> Self {
        Self::Sftp(Box::new(sftp::Inspector::new(sftp::Options::default())))
    }

    pub(in crate::gateway::ssh) fn scp(command: scp::Command) -> Self {
        Self::Scp(Box::new(scp::Inspector::new(command)))
    }

    pub(super) fn handle_client(&mut self, input: &mut BytesMut) -> Result<(), Fault> {
        match self {
            Self::Scp(machine) => machine.handle_client(input)?,
            Self::Sftp(machine) => machine.handle_client(input)?,
        }
        Ok(())
    }

    pub(super) fn handle_host(&mut self, input: &mut BytesMut) -> Result<(), Fault> {
        match self {
            Self::Scp(machine) => machine.handle_upstream(input)?,
            Self::Sftp(machine) => machine.handle_upstream(input)?,
        }
        Ok(())
    }

    pub(super) fn wants_client(&self) -> bool {
        match self {
            Self::Scp(_) => true,
            Self::Sftp(machine) => machine.wants_client_input(),
        }
    }

    pub(super) fn wants_host(&self) -> bool {
        match self {
            Self::Scp(_) => true,
            Self::Sftp(machine) => machine.wants_upstream_input(),
        }
    }

    /// Whether nothing more comes of this rest of a client's input.
    pub(super) fn is_through(&self, rest: &BytesMut) -> bool {
        match self {
            Self::Scp(_) => rest.is_empty(),
            // what is left is no whole packet
            Self::Sftp(machine) => rest.is_empty() || machine.wants_client_input(),
        }
    }

    pub(super) fn question(&mut self) -> Option<(u64, FileFacts)> {
        match self {
            Self::Scp(machine) => machine.poll_question().map(|asked| (asked.id.0, asked.facts)),
            Self::Sftp(machine) => machine.poll_question().map(|asked| (asked.id.0, asked.facts)),
        }
    }

    /// Answers a question: with a refusal, or that it may go.
    pub(super) fn answer(&mut self, id: u64, refusal: Option<Refusal>) {
        match self {
            Self::Scp(machine) => {
                let answer = refusal.map_or(scp::Answer::Forward, scp::Answer::Refuse);
                machine.handle_answer(scp::QuestionId(id), &answer);
            }
            Self::Sftp(machine) => {
                let answer = refusal.map_or(sftp::Answer::Forward, sftp::Answer::Refuse);
                machine.handle_answer(sftp::QuestionId(id), &answer);
            }
        }
    }

    pub(super) fn event(&mut self) -> Option<Seen> {
        Some(match self {
            Self::Scp(machine) => match machine.poll_event()? {
                scp::Event::Finished { asked, bytes, good: true } => {
                    // one of two paths is the file's, and only the host knows which
                    let tag = asked.iter().find_map(|question| moved(question.facts.operation, bytes));
                    let with_bytes = |question: &scp::Question| {
                        let moves = moved(question.facts.operation, bytes).is_some();
                        (question.id.0, if moves { bytes } else { 0 })
                    };
                    let asked = asked.iter().map(with_bytes).collect();
                    Seen::Done { asked, tag: tag.unwrap_or_else(|| "ok".into()) }
                }
                scp::Event::Finished { asked, .. } => {
                    let asked = asked.iter().map(|question| question.id.0).collect();
                    Seen::Failed { asked, why: "it did not arrive whole".into() }
                }
                // the protocol has told it
                scp::Event::Refused { .. } => Seen::Nothing,
            },
            Self::Sftp(machine) => match machine.poll_event()? {
                sftp::Event::Closed { asked, read, written, .. } => Seen::Done {
                    asked: with(&asked, read.saturating_add(written)),
                    tag: counted(read, written),
                },
                // what was opened is done when it is closed
                sftp::Event::Finished { asked, status: 0 } if asked.iter().any(opens) => Seen::Nothing,
                sftp::Event::Finished { asked, status: 0 } => {
                    Seen::Done { asked: with(&asked, 0), tag: "ok".into() }
                }
                sftp::Event::Finished { asked, status } => {
                    Seen::Failed { asked: ids(&asked), why: format!("the host answers status {status}") }
                }
                sftp::Event::Refused { reason, .. } => Seen::Refused(reason),
                sftp::Event::Started { .. } => Seen::Nothing,
                sftp::Event::Unanswered { asked } => {
                    Seen::Failed { asked: ids(&asked), why: "the host did not answer".into() }
                }
            },
        })
    }

    pub(super) fn take_for_client(&mut self) -> Option<Bytes> {
        match self {
            Self::Scp(machine) => taken(machine.client_output()),
            Self::Sftp(machine) => machine.client_output().pop(),
        }
    }

    pub(super) fn take_for_host(&mut self) -> Option<Bytes> {
        match self {
            Self::Scp(machine) => taken(machine.upstream_output()),
            Self::Sftp(machine) => machine.upstream_output().pop(),
        }
    }

    pub(super) fn finish(&mut self) {
        if let Self::Sftp(machine) = self {
            machine.finish();
        }
    }
}

/// What is said of a file of the old scp that has passed.
fn moved(operation: FileOperation, bytes: u64) -> Option<String> {
    match operation {
        FileOperation::Read => Some(counted(bytes, 0)),
        FileOperation::Write => Some(counted(0, bytes)),
        _ => None,
    }
}

fn counted(read: u64, written: u64) -> String {
    format!("read {read}, written {written}")
}

fn with(asked: &[sftp::Question], bytes: u64) -> Vec<(u64, u64)> {
    asked.iter().map(|question| (question.id.0, bytes)).collect()
}

fn opens(question: &sftp::Question) -> bool {
    use FileOperation as Op;
    matches!(question.facts.operation, Op::List | Op::Read | Op::Write)
}

fn ids(asked: &[sftp::Question]) -> Vec<u64> {
    asked.iter().map(|question| question.id.0).collect()
}

fn taken(output: &mut BytesMut) -> Option<Bytes> {
    (!output.is_empty()).then(|| output.split().freeze())
}

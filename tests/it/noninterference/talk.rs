//! Holds a conversation with one side, and keeps every byte of the answers.

use tokio::io::AsyncWriteExt as _;

use super::conversation::Step;
use crate::support::gateway::Gateway;
use crate::support::raw::{PROTOCOL_3_0, Raw};

/// The messages of one answer: tags and bodies.
pub(super) type Answer = Vec<(u8, Vec<u8>)>;

/// What one side said to each step; fewer answers than steps when it closed the connection.
pub(super) async fn talk(gateway: &Gateway, steps: &[Step]) -> Vec<Answer> {
    let mut raw =
        Raw::open(gateway, PROTOCOL_3_0, &[("application_name", "twin")]).await.expect("a connection");
    let mut answers = Vec::new();
    for step in steps {
        let (answer, open) = ask(&mut raw, step).await;
        answers.push(answer);
        if !open {
            break;
        }
    }
    // a closed connection has nothing to say farewell to
    let _closed = raw.stream.write_all(b"X\0\0\0\x04").await;
    answers
}

/// The answer up to ReadyForQuery, and whether the connection is still there.
async fn ask(raw: &mut Raw, step: &Step) -> (Answer, bool) {
    if raw.stream.write_all(&step.bytes()).await.is_err() {
        return (Answer::new(), false);
    }
    let mut answer = Answer::new();
    while let Some((tag, body)) = raw.next().await {
        answer.push((tag, body));
        match tag {
            b'Z' => return (answer, true),
            // CopyInResponse
            b'G' => {
                let data = match step {
                    Step::CopyIn(_, data) => data.as_bytes(),
                    Step::Simple(_) | Step::Extended(_) => b"",
                };
                raw.send(b'd', data).await;
                raw.send(b'c', b"").await;
            }
            _ => {}
        }
    }
    (answer, false)
}

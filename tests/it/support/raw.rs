//! A client of PostgreSQL's protocol that sees and sends every byte itself.

use std::path::Path;
use std::time::Duration;

use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::gateway::{Gateway, SECRET};
use super::postgres::Cluster;

/// The longest that an answer may take: hostile texts take minutes in a debug build on a machine that has more to do.
const PATIENCE: Duration = Duration::from_secs(600);

/// Version 3.0, as a startup message says it.
pub(crate) const PROTOCOL_3_0: u32 = 3 << 16;

/// A client that speaks for itself.
pub(crate) struct Raw {
    pub(crate) stream: UnixStream,
    pub(crate) process: [u8; 4],
    pub(crate) key: Vec<u8>,
}

impl Raw {
    /// Logs in; an error's SQLSTATE and message where that fails.
    pub(crate) async fn open(gateway: &Gateway, version: u32, more: &[(&str, &str)]) -> Result<Self, String> {
        let socket = gateway.folder().join(".s.PGSQL.5432");
        let names = [("user", "alice"), ("database", gateway.database())];
        Self::log_in(&socket, SECRET, version, &[names.as_slice(), more].concat()).await
    }

    /// The same at a cluster itself, as its superuser.
    pub(crate) async fn direct(cluster: &Cluster, database: &str, more: &[(&str, &str)]) -> Self {
        let socket = cluster.folder.join(format!(".s.PGSQL.{}", cluster.port));
        let names = [("user", "postgres"), ("database", database)];
        let parameters = [names.as_slice(), more].concat();
        Self::log_in(&socket, &cluster.password, PROTOCOL_3_0, &parameters).await.expect("the owner gets in")
    }

    async fn log_in(
        socket: &Path,
        password: &str,
        version: u32,
        parameters: &[(&str, &str)],
    ) -> Result<Self, String> {
        let mut body = version.to_be_bytes().to_vec();
        for (name, value) in parameters {
            body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
        }
        body.push(0);
        let stream = UnixStream::connect(socket).await.expect("a socket");
        let mut raw = Self { stream, process: [0; 4], key: Vec::new() };
        raw.packet(&body).await;
        let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
        loop {
            let (tag, body) = raw.receive().await;
            match (tag, body.get(..4)) {
                (b'R', Some([0, 0, 0, 10])) => {
                    let first = scram.message().to_vec();
                    let length = u32::try_from(first.len()).expect("short").to_be_bytes();
                    raw.send(b'p', &[SCRAM_SHA_256.as_bytes(), b"\0", &length, &first].concat()).await;
                }
                (b'R', Some([0, 0, 0, 11])) => {
                    scram.update(&body[4..]).expect("a challenge");
                    raw.send(b'p', scram.message()).await;
                }
                (b'R', Some([0, 0, 0, 12])) => {
                    scram.finish(&body[4..]).expect("the gateway knows the secret");
                }
                (b'K', Some(process)) => {
                    raw.process.copy_from_slice(process);
                    raw.key = body[4..].to_vec();
                }
                (b'E', _) => return Err(told(&body)),
                (b'Z', _) => return Ok(raw),
                _ => {}
            }
        }
    }

    /// Sends a message without a tag.
    pub(crate) async fn packet(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        self.stream.write_all(&[&length, body].concat()).await.expect("sent");
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, tag: u8, body: &[u8]) {
        self.stream.write_all(&[tag]).await.expect("sent");
        self.packet(body).await;
    }

    /// Sends a Query.
    pub(crate) async fn query(&mut self, text: &str) {
        self.send(b'Q', format!("{text}\0").as_bytes()).await;
    }

    /// The next message: its tag and its body.
    pub(crate) async fn receive(&mut self) -> (u8, Vec<u8>) {
        self.next().await.expect("a message")
    }

    /// The same, where the connection may have come to its end.
    pub(crate) async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let message = async {
            let tag = self.stream.read_u8().await.ok()?;
            let length = self.stream.read_u32().await.ok()?;
            let mut body = vec![0; length as usize - 4];
            self.stream.read_exact(&mut body).await.ok()?;
            Some((tag, body))
        };
        tokio::time::timeout(PATIENCE, message).await.expect("an answer in time")
    }

    /// The tags of everything up to this one, and its body.
    pub(crate) async fn until(&mut self, wanted: u8) -> (String, Vec<u8>) {
        let mut tags = String::new();
        loop {
            let (tag, body) = self.receive().await;
            tags.push(char::from(tag));
            if tag == wanted {
                return (tags, body);
            }
        }
    }
}

/// SQLSTATE and message of an ErrorResponse.
pub(crate) fn told(body: &[u8]) -> String {
    let field = |code: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&code));
        String::from_utf8_lossy(found.map_or(&[][..], |field| &field[1..])).into_owned()
    };
    format!("{} {}", field(b'C'), field(b'M'))
}

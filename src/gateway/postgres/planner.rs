//! What the database's planner expects of a statement, asked beside the client's own connection.
//!
//! Job: EXPLAIN exactly what would be sent, with the values that would be bound, as the session's role
//! and under the client's settings, and read the number of rows. Boundary: plain EXPLAIN executes
//! nothing, in a transaction that may not write and within a second; the planner may compute what
//! functions that are declared immutable or stable give for constants. Failure mode: no estimate.
//! The catalog is read again here as well.
//!
//! The connection is opened when it is first needed and ends with the client's.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::catalogs::Catalogs;
use super::lens::Masked;
use crate::domain::filter::BoundFilter;
use crate::domain::policy::Permit;
use crate::gateway::authority::{Lease, SessionContext};
use crate::gateway::dial::{self, Upstream};
use crate::gateway::leg::Leg;
use crate::mask::MaskPlan;
use crate::wire::postgres::backend::{ServerMessage, TransactionStatus};
use crate::wire::postgres::frame::{self, FrameLimits};
use crate::wire::postgres::frontend::{Bind, ClientMessage, Parse};

/// One client connection's way to ask.
#[derive(Clone)]
pub(super) struct Planner(Arc<Desk>);

struct Desk {
    context: Arc<SessionContext>,
    lease: Lease,
    parameters: Vec<(String, String)>,
    /// How the catalog is read again; `None` where names are not resolved.
    reading: Option<Reading>,
    /// Away while somebody asks: what fails in the middle is not used again.
    line: Mutex<Option<Leg<Upstream>>>,
}

/// How the catalog is read.
pub(super) struct Reading {
    pub(super) catalogs: Catalogs,
    pub(super) masks: MaskPlan,
    pub(super) filters: Vec<BoundFilter>,
}

/// What is asked about.
pub(super) struct Plan {
    /// What would be sent: one statement.
    pub(super) text: String,
    /// As in its Parse.
    pub(super) types: Vec<u32>,
    /// As in its Bind.
    pub(super) formats: Vec<i16>,
    /// As in its Bind.
    pub(super) values: Vec<Option<Bytes>>,
    /// The client's settings.
    pub(super) settings: Vec<(String, String)>,
}

impl Planner {
    /// Opens nothing yet.
    pub(super) fn new(
        context: Arc<SessionContext>,
        lease: Lease,
        mut parameters: Vec<(String, String)>,
        reading: Option<Reading>,
    ) -> Self {
        parameters.retain(|(name, _)| name != "replication");
        Self(Arc::new(Desk { context, lease, parameters, reading, line: Mutex::default() }))
    }

    /// Reads the catalog again, as it is now. It is not read on the client's own connection, which may be in the
    /// middle of a transaction.
    pub(super) fn reread(
        &self,
        permit: Option<Permit>,
    ) -> impl Future<Output = Result<Masked, String>> + Send + 'static {
        let desk = Arc::clone(&self.0);
        async move {
            let reread = tokio::time::timeout(PATIENCE, desk.reread(permit)).await;
            reread.unwrap_or_else(|_| Err("the database did not answer in time".into()))
        }
    }

    /// What comes of a query that divides by zero or returns nothing, in a transaction that begins now.
    pub(super) fn compare(
        &self,
        permit: Option<Permit>,
        comparison: String,
    ) -> impl Future<Output = Comparison> + Send + 'static {
        let desk = Arc::clone(&self.0);
        async move {
            let compared = tokio::time::timeout(PATIENCE, desk.compare(permit, &comparison)).await;
            compared.ok().flatten().unwrap_or(Comparison::Unknown)
        }
    }

    /// How many rows the statement would return or change; `None` where that cannot be told in time.
    /// `permit` is for the connection, if it is not open yet.
    pub(super) fn estimate(
        &self,
        permit: Option<Permit>,
        plan: Plan,
    ) -> impl Future<Output = Option<u64>> + Send + 'static {
        let desk = Arc::clone(&self.0);
        async move {
            let asked = tokio::time::timeout(PATIENCE, desk.ask(permit, &plan)).await;
            if asked.is_err() {
                tracing::debug!(session = %desk.context.id, "the planner was not asked in time");
            }
            asked.ok().flatten()
        }
    }
}

impl Desk {
    async fn ask(&self, permit: Option<Permit>, plan: &Plan) -> Option<u64> {
        let mut line = self.take_line(permit).await?;
        let rows = explain(&mut line, plan).await?;
        self.give_back(line);
        rows
    }

    async fn reread(&self, permit: Option<Permit>) -> Result<Masked, String> {
        let reading = self.reading.as_ref().ok_or("there is nothing to read")?;
        let mut line = self.take_line(permit).await.ok_or("the database gives no connection for it")?;
        let (target, role) = (Arc::clone(&self.context.target), self.lease.user.clone());
        let read = reading.catalogs.read(&mut line, target, &reading.masks, &reading.filters, role).await;
        let masked = read.map_err(|error| error.to_string())?;
        self.give_back(line);
        Ok(masked)
    }

    async fn compare(&self, permit: Option<Permit>, comparison: &str) -> Option<Comparison> {
        let mut line = self.take_line(permit).await?;
        let mut request = BytesMut::new();
        // INVARIANT: settings of the role do not make this snapshot an old one
        let text = format!("BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; {comparison}; COMMIT");
        ClientMessage::Query(text.as_bytes()).encode(&mut request);
        let told = talk(&mut line, request).await?;
        if told.status != TransactionStatus::Idle {
            // a failed comparison leaves its transaction open
            let mut request = BytesMut::new();
            ClientMessage::Query(b"ROLLBACK").encode(&mut request);
            talk(&mut line, request).await?;
        }
        self.give_back(line);
        Some(Comparison::told(told.failed.as_deref()))
    }

    async fn take_line(&self, permit: Option<Permit>) -> Option<Leg<Upstream>> {
        let open = self.line.lock().unwrap_or_else(PoisonError::into_inner).take();
        if open.is_some() {
            return open;
        }
        let target = self.context.target.kind.postgres()?;
        let name = &self.context.target.name;
        let dialed = dial::dial(permit?, name, target, &self.lease, self.parameters.clone()).await;
        let failed = |error| tracing::debug!(target = %name, %error, "no connection to plan on");
        Some(dialed.map_err(failed).ok()?.0)
    }

    fn give_back(&self, line: Leg<Upstream>) {
        *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(mut line), Ok(runtime)) = (line, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                let mut goodbye = BytesMut::new();
                ClientMessage::Terminate.encode(&mut goodbye);
                line.push(goodbye.freeze());
                // who does not listen is left
                let _in_time = tokio::time::timeout(GOODBYE, line.close()).await;
            });
        }
    }
}

/// `None` when the connection is of no more use; `Some(None)` when there is no estimate.
async fn explain<S>(line: &mut Leg<S>, plan: &Plan) -> Option<Option<u64>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(begin) = begin(&plan.settings) else { return Some(None) };
    let mut request = BytesMut::new();
    ClientMessage::Query(begin.as_bytes()).encode(&mut request);
    let begun = talk(line, request).await?;
    let mut planned = None;
    // INVARIANT: nothing is planned but in a transaction that cannot write
    if begun.status == TransactionStatus::InTransaction {
        let mut request = BytesMut::new();
        let text = format!("EXPLAIN (FORMAT JSON) {}", plan.text);
        let parse = Parse { statement: b"", text: text.as_bytes(), types: plan.types.clone() };
        ClientMessage::Parse(parse).encode(&mut request);
        let bind = Bind {
            portal: b"",
            statement: b"",
            formats: plan.formats.clone(),
            values: plan.values.iter().map(Option::as_deref).collect(),
            result_formats: Vec::new(),
        };
        ClientMessage::Bind(bind).encode(&mut request);
        ClientMessage::Execute { portal: b"", max_rows: 0 }.encode(&mut request);
        ClientMessage::Sync.encode(&mut request);
        planned = talk(line, request).await?.row;
    }
    let mut request = BytesMut::new();
    ClientMessage::Query(b"ROLLBACK").encode(&mut request);
    let ended = talk(line, request).await?;
    if ended.status != TransactionStatus::Idle {
        return None;
    }
    Some(planned.and_then(|plan| rows(&plan)))
}

/// Begins a transaction under the client's settings; `None` when they cannot be written down.
fn begin(settings: &[(String, String)]) -> Option<String> {
    let mut begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
        PLANNING.as_millis(),
        LOCKED.as_millis()
    );
    for (name, value) in settings {
        // in a literal a backslash may mean something
        if name.contains(['\'', '\\']) || value.contains('\\') {
            return None;
        }
        let value = value.replace('\'', "''");
        begin.push_str(&format!("; SELECT pg_catalog.set_config('{name}', '{value}', true)"));
    }
    Some(begin)
}

/// What relations are, beside what they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Something else.
    Differs,
    /// The same.
    Same,
    /// Nobody could compare: there is no connection to do it on, it took too long, or it failed in another way.
    Unknown,
}

impl Comparison {
    /// What this SQLSTATE of its query means, or that there is none.
    fn told(failed: Option<&str>) -> Self {
        match failed {
            None => Self::Same,
            Some(DIVISION_BY_ZERO) => Self::Differs,
            Some(_) => Self::Unknown,
        }
    }
}

/// What came back.
struct Told {
    row: Option<Vec<u8>>,
    /// The SQLSTATE of the first error.
    failed: Option<String>,
    status: TransactionStatus,
}

async fn talk<S>(line: &mut Leg<S>, request: BytesMut) -> Option<Told>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    line.push(request.freeze());
    std::future::poll_fn(|cx| line.poll_write(cx)).await.ok()?;
    let limit = FrameLimits::default().upstream;
    let (mut row, mut failed) = (None, None::<String>);
    loop {
        while let Some(frame) = frame::take(&mut line.input, limit).ok()? {
            match ServerMessage::parse(frame.tag, frame.body()) {
                Ok(Some(ServerMessage::DataRow(columns))) => {
                    row = columns.first().copied().flatten().map(<[u8]>::to_vec);
                }
                Ok(Some(ServerMessage::ErrorResponse(fields))) => {
                    failed.get_or_insert_with(|| fields.sqlstate().to_owned());
                }
                Ok(Some(ServerMessage::ReadyForQuery(status))) => {
                    return Some(Told { row: row.filter(|_| failed.is_none()), failed, status });
                }
                _ => {}
            }
        }
        if std::future::poll_fn(|cx| line.poll_read(cx)).await.ok()? == 0 {
            return None;
        }
    }
}

/// The rows of a plan as EXPLAIN writes it in JSON.
fn rows(plan: &[u8]) -> Option<u64> {
    let plans: Value = serde_json::from_slice(plan).ok()?;
    let mut all = 0.0;
    for plan in plans.as_array()? {
        let plan = plan.get("Plan")?;
        let own = plan.get("Plan Rows")?.as_f64()?;
        // what changes rows without returning any is said to have none
        let changes = plan.get("Node Type").and_then(Value::as_str) == Some("ModifyTable");
        let below = plan.get("Plans").and_then(Value::as_array).filter(|_| changes);
        let below: f64 = below.into_iter().flatten().filter_map(|plan| plan.get("Plan Rows")?.as_f64()).sum();
        all += own.max(below);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    Some(all.ceil() as u64)
}

/// How long asking may take with all that belongs to it, a login for example.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the database may plan.
const PLANNING: Duration = Duration::from_secs(1);
/// How long it may wait for a lock: the client's own transaction may hold it.
const LOCKED: Duration = Duration::from_millis(200);
const GOODBYE: Duration = Duration::from_millis(500);
/// How a comparison says that something differs.
const DIVISION_BY_ZERO: &str = "22012";

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    #[test]
    fn rows_are_those_that_are_returned_or_changed() {
        for (plan, told) in [
            (
                r#"[{"Plan": {"Node Type": "Limit", "Plan Rows": 10, "Plans": [{"Plan Rows": 900}]}}]"#,
                Some(10),
            ),
            (
                r#"[{"Plan": {"Node Type": "ModifyTable", "Plan Rows": 0,
                     "Plans": [{"Node Type": "Seq Scan", "Plan Rows": 12.0}]}}]"#,
                Some(12),
            ),
            (r#"[{"Plan": {"Node Type": "Result", "Plan Rows": 1e30}}]"#, Some(u64::MAX)),
            (r#"[{"Utility Statement": "x"}]"#, None),
            ("[", None),
        ] {
            assert_eq!(rows(plan.as_bytes()), told, "{plan}");
        }
    }

    /// A comparison that was cut short says nothing of what it compares.
    #[test]
    fn only_a_division_by_zero_says_that_something_differs() {
        for (failed, told) in [
            (None, Comparison::Same),
            (Some("22012"), Comparison::Differs),
            (Some("57014"), Comparison::Unknown),
            (Some("42501"), Comparison::Unknown),
            (Some("XX000"), Comparison::Unknown),
        ] {
            assert_eq!(Comparison::told(failed), told, "{failed:?}");
        }
    }

    #[test]
    fn what_cannot_be_written_down_is_not_planned() {
        let begin = |name: &str, value: &str| begin(&[(name.to_owned(), value.to_owned())]);
        assert!(begin("search_path", "\"it's\"").unwrap().ends_with("('search_path', '\"it''s\"', true)"));
        assert_eq!(begin("search_path", "\\"), None);
    }
}

//! HTTP APIs behind the gateway, with curl and with bytes that no client would send.

mod caps;
mod corpus;
mod credentials;
mod desync;
mod masks;
mod multiplexed;
mod nginx;
mod paths;
pub(crate) mod peers;
mod review;
mod servers;
mod smuggling;
mod streams;
mod verdicts;

/// The status of a raw answer.
fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or(answer)
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it never came to this: {what}");
}

//! Calls that are streams of one connection (HTTP/2).
//!
//! Job: the limits of such a connection, and each call's head made the one that it would have in HTTP/1.1, so that
//! there is one way to read, judge and send a call. Boundary: frames, HPACK, flow control and the rules of RFC 9113
//! §8.2 (no CR, LF, NUL or upper case, no header of a connection, no `Upgrade`) are those of the crate h2. Failure
//! mode: a [`Problem`] for the call; whoever floods the connection loses it.

use std::sync::Arc;

use http::header::HOST;
use http::uri::Authority;
use http::{Request, Uri, Version};
use hyper::rt::Executor;
use hyper_util::server::conn::auto;

use super::answer::Problem;
use super::shared::Shared;
use super::{BUFFER, MOST_HEADERS, WINDOW};

/// Runs the calls of one connection as tasks that belong to it.
#[derive(Clone)]
pub(in crate::gateway) struct Crew(pub(in crate::gateway) Arc<Shared>);

impl<F> Executor<F> for Crew
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        self.0.spawn(call);
    }
}

/// A server of both versions, with its limits.
pub(in crate::gateway) fn server(crew: Crew) -> auto::Builder<Crew> {
    let mut builder = auto::Builder::new(crew);
    builder.http1().max_buf_size(BUFFER).max_headers(MOST_HEADERS);
    builder
        .http2()
        .max_concurrent_streams(MOST_CALLS)
        .max_header_list_size(HEAD)
        .max_send_buf_size(BUFFER)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(2 * WINDOW)
        // CVE-2023-44487 and CVE-2025-8671: calls that are taken back as fast as they are made
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_FAULTS);
    builder
}

/// Makes the head of a call what it would be in HTTP/1.1.
///
/// `:authority` stands for `Host` (RFC 9113 §8.3.1): it names the target's place in the client's eyes, chooses
/// nothing, and where both are there they must be the same.
pub(in crate::gateway) fn flatten<B>(request: &mut Request<B>) -> Result<(), Problem> {
    if request.version() != Version::HTTP_2 {
        return Ok(());
    }
    if request.headers().len() > MOST_HEADERS {
        return Err(Problem::unclear(format!("it has more than {MOST_HEADERS} headers")));
    }
    let uri = request.uri();
    if let Some(authority) = uri.authority() {
        if authority.as_str().contains('@') {
            return Err(Problem::unclear("its `:authority` holds a user"));
        }
        let is_same = |host: &Authority| host.as_str().eq_ignore_ascii_case(authority.as_str());
        let hosts = request.headers().get_all(HOST).iter();
        let hosts = hosts.map(|host| Authority::try_from(host.as_bytes()));
        if !hosts.into_iter().all(|host| host.is_ok_and(|host| is_same(&host))) {
            return Err(Problem::unclear("its `Host` is not its `:authority`"));
        }
    }
    if !matches!(uri.scheme_str(), None | Some("http" | "https")) {
        return Err(Problem::unclear("its `:scheme` is not one of HTTP"));
    }
    let resource = uri.path_and_query().cloned();
    *request.uri_mut() = match resource {
        Some(resource) => Uri::from(resource),
        None => return Err(Problem::unclear("the call names no path")),
    };
    *request.version_mut() = Version::HTTP_11;
    Ok(())
}

/// How many calls one connection may have at a time.
const MOST_CALLS: u32 = 100;
/// How long a head may be, with 32 bytes for each header (RFC 9113 §6.5.2).
const HEAD: u32 = 64 * 1024;
/// How many calls may be taken back before anybody has looked at them.
const MOST_RESETS: usize = 32;
/// How many calls may be refused for faults of the protocol.
const MOST_FAULTS: usize = 128;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use http::Method;

    use super::*;

    #[test]
    fn a_place_is_named_once_and_chooses_nothing() {
        let call = |uri: &str, host: Option<&str>| {
            let mut request = Request::builder().method(Method::GET).version(Version::HTTP_2).uri(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let mut request = request.body(()).unwrap();
            flatten(&mut request).map(|()| request.uri().to_string()).map_err(|problem| problem.told().0)
        };
        assert_eq!(call("http://api/a?b=c", None), Ok("/a?b=c".to_owned()));
        assert_eq!(call("http://elsewhere:1/a", Some("elsewhere:1")), Ok("/a".to_owned()));
        assert_eq!(call("https://API/a", Some("api")), Ok("/a".to_owned()));
        for (uri, host) in [
            ("http://api/a", Some("other")),
            ("http://api/a", Some("api:80")),
            ("http://api/a", Some("")),
            ("http://user@api/a", None),
            ("http://user@api/a", Some("user@api")),
            ("ftp://api/a", None),
        ] {
            assert!(call(uri, host).is_err(), "{uri} {host:?}");
        }
    }
}

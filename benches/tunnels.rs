//! HTTP Upgrade against HTTP/2 streams, as carriers of tunnels over the same TLS on 127.0.0.1.
//!
//! `cargo bench --bench tunnels` prints how long a new tunnel takes, how many small messages go back and
//! forth in 1 and 8 tunnels at a time, and how fast 100 MB arrive through one. An Upgrade has a connection per
//! tunnel; HTTP/2 streams share one. Both ends are hyper's, with the same buffers for the bytes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark: it measures time, prints, and fails by panicking"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, UPGRADE};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

const ROUNDS: usize = 7;
const MESSAGE: usize = 100;
const SPAN: Duration = Duration::from_millis(700);
const BULK: usize = 100 << 20;
const OPENINGS: usize = 200;
/// As large as one bulk transfer can use; hyper's defaults are slower.
const WINDOW: u32 = 8 << 20;
const FRAME: u32 = 64 << 10;

type Tunnel = TokioIo<Upgraded>;

#[derive(Clone, Copy, PartialEq)]
enum Carrier {
    Upgrade,
    Http2,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bed = Bed::start().await;
        let mut rows: Vec<(&str, [Vec<f64>; 2])> = Vec::new();
        for round in 0..ROUNDS {
            for (column, carrier) in [Carrier::Upgrade, Carrier::Http2].into_iter().enumerate() {
                let figures = [
                    ("new tunnel, µs", bed.opening(carrier).await),
                    ("1 tunnel, messages/s", bed.ping(carrier, 1).await),
                    ("8 tunnels, messages/s", bed.ping(carrier, 8).await),
                    ("100 MB through 1 tunnel, MB/s", bed.bulk(carrier).await),
                ];
                for (row, (name, figure)) in figures.into_iter().enumerate() {
                    if round == 0 && column == 0 {
                        rows.push((name, [Vec::new(), Vec::new()]));
                    }
                    rows[row].1[column].push(figure);
                }
            }
        }
        println!(
            "| {ROUNDS} interleaved rounds | HTTP Upgrade | HTTP/2 streams | ratio |\n|---|---|---|---|"
        );
        for (name, [upgrade, http2]) in rows {
            let (upgrade, http2) = (Spread::of(upgrade), Spread::of(http2));
            println!("| {name} | {upgrade} | {http2} | {:.2} |", http2.median / upgrade.median);
        }
    });
}

struct Bed {
    address: SocketAddr,
    tls: [Arc<rustls::ClientConfig>; 2],
    shared: Mutex<Option<hyper::client::conn::http2::SendRequest<Empty<Bytes>>>>,
}

impl Bed {
    async fn start() -> Self {
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut server = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(server))));
        let tls = [b"http/1.1".to_vec(), b"h2".to_vec()].map(|alpn| client_tls(&certificate, alpn));
        Self { address, tls, shared: Mutex::new(None) }
    }

    async fn connect(&self, carrier: Carrier) -> TlsStream<TcpStream> {
        let socket = TcpStream::connect(self.address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let tls = Arc::clone(&self.tls[usize::from(carrier == Carrier::Http2)]);
        TlsConnector::from(tls).connect(ServerName::try_from("localhost").unwrap(), socket).await.unwrap()
    }

    async fn open(&self, carrier: Carrier) -> Tunnel {
        let response = match carrier {
            Carrier::Upgrade => {
                let stream = TokioIo::new(self.connect(carrier).await);
                let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
                tokio::spawn(connection.with_upgrades());
                let request = Request::get("/tunnel").header("host", "localhost");
                let request = request.header(CONNECTION, "upgrade").header(UPGRADE, "bytes");
                sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap()
            }
            Carrier::Http2 => {
                let mut sender = self.sender().await;
                let request = Request::builder().method(Method::CONNECT).uri("localhost:443");
                sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap()
            }
        };
        TokioIo::new(hyper::upgrade::on(response).await.unwrap())
    }

    async fn sender(&self) -> hyper::client::conn::http2::SendRequest<Empty<Bytes>> {
        let mut shared = self.shared.lock().await;
        if let Some(sender) = shared.as_ref() {
            return sender.clone();
        }
        let stream = TokioIo::new(self.connect(Carrier::Http2).await);
        let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_frame_size(FRAME)
            .handshake(stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        shared.insert(sender).clone()
    }

    async fn opening(&self, carrier: Carrier) -> f64 {
        // the shared connection is there when the second tunnel is wanted, which is what streams are for
        drop(self.open(carrier).await);
        let mut times = Vec::with_capacity(OPENINGS);
        for _ in 0..OPENINGS {
            let began = Instant::now();
            let mut tunnel = self.open(carrier).await;
            times.push(began.elapsed().as_secs_f64() * 1e6);
            tunnel.shutdown().await.unwrap();
        }
        Spread::of(times).median
    }

    async fn ping(&self, carrier: Carrier, tunnels: usize) -> f64 {
        let mut tasks = Vec::new();
        for _ in 0..tunnels {
            let mut tunnel = self.open(carrier).await;
            tasks.push(tokio::spawn(async move {
                tunnel.write_all(b"p").await.unwrap();
                let (mut buffer, began, mut count) = ([0; MESSAGE], Instant::now(), 0_u32);
                while began.elapsed() < SPAN {
                    tunnel.write_all(&buffer).await.unwrap();
                    tunnel.flush().await.unwrap();
                    tunnel.read_exact(&mut buffer).await.unwrap();
                    count += 1;
                }
                f64::from(count) / began.elapsed().as_secs_f64()
            }));
        }
        let mut sum = 0.0;
        for task in tasks {
            sum += task.await.unwrap();
        }
        sum
    }

    async fn bulk(&self, carrier: Carrier) -> f64 {
        let mut tunnel = self.open(carrier).await;
        let (mut buffer, mut got, began) = (vec![0; 256 << 10], 0, Instant::now());
        tunnel.write_all(b"b").await.unwrap();
        tunnel.flush().await.unwrap();
        while got < BULK {
            got += tunnel.read(&mut buffer).await.unwrap();
        }
        (BULK >> 20) as f64 / began.elapsed().as_secs_f64()
    }
}

fn client_tls(root: &CertificateDer<'static>, alpn: Vec<u8>) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn];
    Arc::new(config)
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        socket.set_nodelay(true).unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let stream = acceptor.accept(socket).await.unwrap();
            let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            let service = service_fn(answer);
            if is_http2 {
                let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
                builder.max_frame_size(FRAME).max_concurrent_streams(1000);
                drop(builder.serve_connection(TokioIo::new(stream), service).await);
            } else {
                let builder = hyper::server::conn::http1::Builder::new();
                drop(builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await);
            }
        });
    }
}

async fn answer(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(stream) = upgrade.await {
            // a tunnel that only was to be opened ends here
            drop(carry(TokioIo::new(stream)).await);
        }
    });
    let response = Response::builder();
    Ok(match request.method() {
        &Method::CONNECT => response.status(StatusCode::OK),
        _ => response
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "upgrade")
            .header(UPGRADE, "bytes"),
    }
    .body(Empty::new())
    .unwrap())
}

async fn carry(mut tunnel: Tunnel) -> std::io::Result<()> {
    if tunnel.read_u8().await? == b'b' {
        let chunk = vec![7; 64 << 10];
        let mut left = BULK;
        while left > 0 {
            let count = left.min(chunk.len());
            tunnel.write_all(&chunk[..count]).await?;
            left -= count;
        }
        return tunnel.flush().await;
    }
    let mut buffer = [0; MESSAGE];
    loop {
        tunnel.read_exact(&mut buffer).await?;
        tunnel.write_all(&buffer).await?;
        tunnel.flush().await?;
    }
}

struct Spread {
    lowest: f64,
    median: f64,
    highest: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self { lowest: values[0], median: values[values.len() / 2], highest: values[values.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0} ({:.0}–{:.0})", self.median, self.lowest, self.highest)
    }
}

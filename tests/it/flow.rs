//! Ends that do not read: they hold up nobody else, and fill nobody's memory.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};

use crate::support::env::program;
use crate::support::gateway::{Gateway, SECRET, Setup};
use crate::support::postgres::{Cluster, majors};
use crate::support::world::{Twist, World, psql};

fn newest() -> Cluster {
    Cluster::start(*majors().last().expect("a major"))
}

#![doc = include_str!("../ARCHITECTURE.md")]

// What is true: names, principals, targets, actions, verdicts, sessions, events.
pub mod domain;

// Bytes to meaning and back for each protocol, and the client–broker API as plain types.
pub mod wire;

// What a SQL statement does, and its rewriting under masks.
pub mod sql;

// What a command line does.
pub mod shell;

// What a masked value looks like, and how a plan of masks is made for one principal.
pub mod mask;

// The tamper-evident audit log as pure functions.
pub mod ledger;

// The session recording format: chunks, index, replay cursor.
pub mod recording;

// Where bytes move: sockets, TLS, relays, timers.
pub mod gateway;

// Who decides: identity, policy, sessions, leases, the ledger's writer, the API.
pub mod broker;

// The user's machine: login, key storage, the loopback listener, launching the child.
pub mod client;

// The only floor that prints, prompts, reads the environment and exits.
pub mod cli;

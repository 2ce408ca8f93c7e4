//! The signing gateway before moto, with the tools that people use and with bytes that none of them would send.

mod answers;
mod clients;
mod hostile;
mod masks;
mod rust_sdk;
mod stage;
mod verdicts;

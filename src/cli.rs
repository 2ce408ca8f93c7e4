//! The top floor: the only one that prints, prompts, reads the environment and exits.

pub mod commands;

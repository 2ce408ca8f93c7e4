//! Bodies for fuzzing: each takes any bytes and must return.

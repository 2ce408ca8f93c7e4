//! What a terminal's two directions carry.
//!
//! Job: [`Mask`] hides what a detector finds in a terminal's output, across packets and escape
//! sequences; [`Supervisor`] collects what is typed into lines, each a question before the host's shell
//! gets it. Boundary: bytes in, bytes and questions out; what a secret is, and what a line does, others
//! say. Failure mode: none of its own; every buffer is bounded.
//!
//! What this cannot do, so that nobody counts on it: a terminal is a canvas. A program that moves the
//! cursor can paint a secret out of order, in columns, letter by letter with pauses, in another alphabet,
//! as an image or encoded, and no filter on the stream sees it. Masking a terminal stops accidents, not
//! somebody who wants to see; a line is judged as text, and what runs on the host may not be the shell
//! that it is judged for: an editor, an interpreter, an alias. Running single commands (exec) is the strong
//! mode.

mod mask;
mod scan;
mod supervisor;
#[cfg(test)]
mod tests;

pub use mask::{Detector, Mask};
pub use supervisor::{Answer, Line, LineId, Supervisor};
